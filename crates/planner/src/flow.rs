//! A minimum cut in a network of integer capacities, fast enough to be asked dozens of times.
//!
//! Graphs of neural networks are long and thin: hundreds of levels, few arcs per node. Methods
//! that augment along shortest paths need a phase per level; pushing what a node has too much
//! onward, along arcs that lead nearer to the sink, needs hardly more than one sweep. So this is
//! push-relabel (Goldberg and Tarjan, 1988), highest label first, with the gap heuristic and
//! exact distances from time to time (Cherkassky and Goldberg, 1997). It stops at a maximum
//! preflow: the cut is known then, and what cannot reach the sink need not be sent back.

use std::collections::VecDeque;

/// A capacity that no cut pays: larger than the sum of all others, which is at most a quarter.
pub(crate) const UNCUTTABLE: i64 = 1 << 61;

/// Nodes, what each is given or gives away, and the arcs between them.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// What a node gets from the source, or, where negative, may give to the sink: of two such
    /// arcs only the difference matters to which cut is least.
    pub(crate) terminal: Vec<i64>,
    pub(crate) arcs: Vec<Arc>,
}

/// `forward` is paid where `from` is on the source's side and `to` is not, `backward` where it
/// is the other way round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arc {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) forward: i64,
    pub(crate) backward: i64,
}

impl Network {
    /// The source's side of a minimum cut; of all such sides the largest, which contains
    /// every other.
    pub(crate) fn largest_source_side(&self) -> Vec<bool> {
        let mut solver = Solver::new(self);
        solver.run();
        let out = solver.out();
        solver.label.iter().map(|label| *label == out).collect()
    }

    /// The same network seen from the sink.
    pub(crate) fn reversed(mut self) -> Self {
        for terminal in &mut self.terminal {
            *terminal = -*terminal;
        }
        for arc in &mut self.arcs {
            std::mem::swap(&mut arc.from, &mut arc.to);
        }
        self
    }
}

/// Half-arcs lie by tail; `first[node]..first[node + 1]` are those that leave `node`.
struct Solver {
    first: Vec<u32>,
    head: Vec<u32>,
    /// The half-arc in the other direction.
    twin: Vec<u32>,
    residual: Vec<i64>,
    /// What may still go to the sink.
    sink: Vec<i64>,
    excess: Vec<i64>,
    /// A lower bound of the number of arcs to the sink.
    label: Vec<u32>,
    current: Vec<u32>,
    /// Nodes by label, which the gap heuristic needs to be counted.
    population: Vec<u32>,
    /// Active nodes by label; some may have moved up since.
    active: Vec<Vec<u32>>,
    highest: usize,
    work: usize,
}

impl Solver {
    fn new(network: &Network) -> Self {
        let nodes = network.terminal.len();
        let mut first = vec![0u32; nodes + 1];
        for arc in &network.arcs {
            first[arc.from as usize + 1] += 1;
            first[arc.to as usize + 1] += 1;
        }
        for node in 0..nodes {
            first[node + 1] += first[node];
        }
        let halves = network.arcs.len() * 2;
        let mut solver = Self {
            head: vec![0; halves],
            twin: vec![0; halves],
            residual: vec![0; halves],
            sink: network.terminal.iter().map(|terminal| (-terminal).max(0)).collect(),
            excess: network.terminal.iter().map(|terminal| (*terminal).max(0)).collect(),
            label: vec![0; nodes],
            current: first[..nodes].to_vec(),
            population: vec![0; nodes + 2],
            active: vec![Vec::new(); nodes + 2],
            highest: 0,
            work: 0,
            first,
        };
        // `current` serves as the place of the next half-arc while they are laid out.
        for arc in &network.arcs {
            let there = solver.current[arc.from as usize];
            solver.current[arc.from as usize] += 1;
            let back = solver.current[arc.to as usize];
            solver.current[arc.to as usize] += 1;
            for (half, head, twin, capacity) in
                [(there, arc.to, back, arc.forward), (back, arc.from, there, arc.backward)]
            {
                solver.head[half as usize] = head;
                solver.twin[half as usize] = twin;
                solver.residual[half as usize] = capacity;
            }
        }
        solver
    }

    fn nodes(&self) -> usize {
        self.label.len()
    }

    /// The label of nodes that cannot reach the sink: the longest way is through all nodes.
    fn out(&self) -> u32 {
        self.nodes() as u32 + 1
    }

    fn run(&mut self) {
        self.relabel_all();
        let often = 6 * self.nodes() + self.head.len();
        while let Some(node) = self.next_active() {
            self.discharge(node);
            if self.work > often {
                self.relabel_all();
            }
        }
        self.relabel_all();
    }

    fn next_active(&mut self) -> Option<usize> {
        loop {
            match self.active[self.highest].pop() {
                Some(node) => {
                    let node = node as usize;
                    if self.excess[node] > 0 && self.label[node] as usize == self.highest {
                        return Some(node);
                    }
                }
                None if self.highest == 0 => return None,
                None => self.highest -= 1,
            }
        }
    }

    /// Moves on what `node` has too much, until that is nothing or the sink is out of reach.
    fn discharge(&mut self, node: usize) {
        let end = self.first[node + 1];
        while self.label[node] < self.out() {
            if self.label[node] == 1 && self.sink[node] > 0 {
                let amount = self.excess[node].min(self.sink[node]);
                self.sink[node] -= amount;
                self.excess[node] -= amount;
            }
            while self.excess[node] > 0 && self.current[node] < end {
                let half = self.current[node] as usize;
                let head = self.head[half] as usize;
                if self.residual[half] > 0 && self.label[node] == self.label[head] + 1 {
                    self.push(node, half, head);
                    if self.excess[node] == 0 {
                        break;
                    }
                }
                self.current[node] += 1;
            }
            if self.excess[node] == 0 {
                return;
            }
            self.relabel(node);
        }
    }

    fn push(&mut self, node: usize, half: usize, head: usize) {
        let amount = self.excess[node].min(self.residual[half]);
        self.residual[half] -= amount;
        self.residual[self.twin[half] as usize] += amount;
        self.excess[node] -= amount;
        if self.excess[head] == 0 {
            let label = self.label[head] as usize;
            self.active[label].push(head as u32);
            self.highest = self.highest.max(label);
        }
        self.excess[head] += amount;
    }

    fn relabel(&mut self, node: usize) {
        let old = self.label[node] as usize;
        let halves = self.first[node] as usize..self.first[node + 1] as usize;
        self.work += halves.len() + 12;
        let nearest = halves
            .filter(|half| self.residual[*half] > 0)
            .map(|half| self.label[self.head[half] as usize] + 1)
            .min();
        let own = (self.sink[node] > 0).then_some(1);
        let out = self.out();
        let label = nearest.into_iter().chain(own).min().unwrap_or(out).min(out);
        self.population[old] -= 1;
        self.population[label as usize] += 1;
        self.label[node] = label;
        self.current[node] = self.first[node];
        if self.population[old] == 0 {
            self.close_gap(old);
        }
    }

    /// No node has this label: those above it have no way to the sink.
    fn close_gap(&mut self, gap: usize) {
        let out = self.out();
        for label in &mut self.label {
            if *label as usize > gap && *label < out {
                self.population[*label as usize] -= 1;
                self.population[out as usize] += 1;
                *label = out;
            }
        }
    }

    /// Exact labels, by a search from the sink.
    fn relabel_all(&mut self) {
        let out = self.out();
        self.work = 0;
        self.label.fill(out);
        self.population.fill(0);
        self.active.iter_mut().for_each(Vec::clear);
        self.highest = 0;
        let mut queue = VecDeque::with_capacity(self.nodes());
        for node in 0..self.nodes() {
            if self.sink[node] > 0 {
                self.label[node] = 1;
                queue.push_back(node);
            }
        }
        while let Some(node) = queue.pop_front() {
            for half in self.first[node] as usize..self.first[node + 1] as usize {
                let tail = self.head[half] as usize;
                if self.label[tail] == out && self.residual[self.twin[half] as usize] > 0 {
                    self.label[tail] = self.label[node] + 1;
                    queue.push_back(tail);
                }
            }
        }
        for node in 0..self.nodes() {
            self.current[node] = self.first[node];
            self.population[self.label[node] as usize] += 1;
            if self.excess[node] > 0 && self.label[node] < out {
                let label = self.label[node] as usize;
                self.active[label].push(node as u32);
                self.highest = self.highest.max(label);
            }
        }
    }
}
