//! An edge node's settings.

use super::{Names, elements, engine, identity, known, listeners, log, parse, size, span};
use crate::edge::{
    CloudAddress, CodecChoice, EdgeLimits, EdgeSettings, ExitChoice, ExpectedLink, Fallback, LinkSettings,
    ModelSettings, PlanSettings, PowerModel, RaceChoice, Split,
};
use crate::error::{Problems, SettingsError};
use crate::leaf::{FilePath, Joules, Place, Rate, Span, Watts};
use crate::raw::{
    self, RawCloudAddress, RawEdge, RawEdgeLimits, RawLink, RawModel, RawPlan, RawPower, default,
};
use crate::said::{Origin, Said};

impl EdgeSettings {
    /// Reads a settings file; `file` names it in errors. Paths stay as said, see [`resolve`](Self::resolve).
    pub fn parse(yaml: &str, file: &str) -> Result<Self, SettingsError> {
        parse(yaml, file, mean)
    }
}

/// The JSON Schema of an edge node's file.
pub fn edge_schema() -> serde_json::Value {
    raw::schema::<RawEdge>()
}

fn mean(raw: RawEdge, root: &Origin, problems: &Problems) -> Option<EdgeSettings> {
    let node = raw.node.required("node", root, problems);
    let repository = raw.repository.required("repository", root, problems);
    let identity = identity(raw.identity, root, problems);
    let (listen, admin, admin_remote) = listeners(
        (raw.listen, default::EDGE_LISTEN),
        (raw.admin, default::EDGE_ADMIN),
        raw.admin_remote,
        problems,
    );
    let no_cloud = match raw.cloud.value() {
        Some(list) => list.is_empty(),
        None => raw.cloud.origin().is_none(),
    };
    let cloud = cloud(raw.cloud, problems);
    let profiles = raw.profiles.optional().map(|FilePath(path)| path);
    let link = link(raw.link, root, problems);
    let plan = plan(raw.plan, problems);
    let lacks = Lacks {
        cloud: no_cloud,
        profiles: profiles.is_none(),
        link: link.expected.is_none(),
        floor: plan.privacy_floor,
    };
    let models = models(raw.models, root, &lacks, problems);
    let engine = engine(raw.engine, problems);
    let limits = limits(raw.limits, problems);
    Some(EdgeSettings {
        node: node?.0,
        listen,
        admin,
        admin_remote,
        repository: repository?.0,
        profiles,
        identity: identity?,
        cloud,
        engine,
        models: models?,
        limits,
        link,
        plan,
        log: log(raw.log),
    })
}

fn cloud(said: Said<Vec<Said<RawCloudAddress>>>, problems: &Problems) -> Vec<CloudAddress> {
    let mut names = Names::default();
    elements(said.or(Vec::new()))
        .into_iter()
        .filter_map(|(raw, origin)| {
            let node = names.take(raw.node, "node", &origin, problems);
            let address = raw.address.required("address", &origin, problems);
            Some(CloudAddress { node: node?, address: address?.0 })
        })
        .collect()
}

/// What a split may need and the file does not say, or forbids.
struct Lacks {
    cloud: bool,
    profiles: bool,
    link: bool,
    floor: u16,
}

impl Lacks {
    /// What is missing for `split`, in words.
    fn of(&self, split: Split) -> Vec<&'static str> {
        let is_auto = split == Split::Auto;
        [
            (
                self.cloud && split != Split::Edge,
                "the model needs a cloud node, but `cloud` lists none; list one, or use `edge`",
            ),
            (
                split == Split::Cloud && self.floor > 0
                    || matches!(split, Split::Boundary(boundary) if boundary < self.floor),
                "this is sent from before `plan.privacy_floor`",
            ),
            (
                self.profiles && is_auto,
                "`auto` needs `profiles`, the folder that `edge-node --profile` fills",
            ),
            (
                self.link && is_auto,
                "`auto` needs `link.bandwidth` and `link.rtt`, such as 8Mbps and 40ms, to plan for",
            ),
        ]
        .into_iter()
        .filter_map(|(lacks, message)| lacks.then_some(message))
        .collect()
    }
}

fn models(
    said: Said<Vec<Said<RawModel>>>,
    root: &Origin,
    lacks: &Lacks,
    problems: &Problems,
) -> Option<Vec<ModelSettings>> {
    let list = said.required("models", root, problems)?;
    let mut names = Names::default();
    let models = elements(list)
        .into_iter()
        .filter_map(|(raw, origin)| {
            let name = names.take(raw.name, "name", &origin, problems);
            let split_origin = raw.split.origin().cloned();
            let split = raw.split.required("split", &origin, problems);
            if let (Some(split), Some(origin)) = (split, split_origin) {
                lacks.of(split).into_iter().for_each(|message| origin.problem(problems, message));
            }
            Some(ModelSettings {
                name: name?,
                split: split?,
                codec: raw.codec.or(CodecChoice::Auto),
                agreement: raw.agreement.or(known(default::AGREEMENT)),
                exits: raw.exits.or(ExitChoice::Auto),
                audit: raw.audit.or(known(default::AUDIT)),
                audit_bytes: size(raw.audit_bytes, default::AUDIT_BYTES),
                fallback: raw.fallback.or(Fallback::Required),
                race: raw.race.or(RaceChoice::Deadline),
                deadline: span(raw.deadline, default::DEADLINE),
            })
        })
        .collect();
    Some(models)
}

fn limits(said: Said<RawEdgeLimits>, problems: &Problems) -> EdgeLimits {
    let raw = said.or_default();
    EdgeLimits {
        concurrency: raw.concurrency.within(1..=65_536, problems).or(default::EDGE_CONCURRENCY) as usize,
        queue: raw.queue.within(0..=1_048_576, problems).or(default::EDGE_QUEUE) as usize,
        memory: size(raw.memory, default::EDGE_MEMORY),
        body: size(raw.body, default::EDGE_BODY),
    }
}

fn plan(said: Said<RawPlan>, problems: &Problems) -> PlanSettings {
    let raw = said.or_default();
    let known = PlanSettings::default();
    let price = |said: Said<f64>| {
        let origin = said.origin().cloned();
        let price = said.or(0.0);
        if let Some(origin) = origin.filter(|_| !(0.0..=1e12).contains(&price)) {
            origin.problem(problems, format!("{price} is no price"));
        }
        price
    };
    let money_per_byte = price(raw.price_per_gb) / 1e9;
    let money_per_second = price(raw.price_per_hour) / 3600.0;
    let said = raw.objective.origin().cloned();
    let objective = raw.objective.or(known.objective);
    if let Some(origin) = said.filter(|_| objective.money > 0.0 && money_per_byte + money_per_second <= 0.0) {
        origin.problem(problems, "nothing costs money; give `price_per_gb` or `price_per_hour`");
    }
    PlanSettings {
        objective,
        deadline: raw.deadline.optional(),
        privacy_floor: raw.privacy_floor.or(Place(0)).0,
        traffic: raw.traffic.or(known.traffic),
        money_per_byte,
        money_per_second,
        power: power(raw.power, problems),
    }
}

fn power(said: Said<RawPower>, problems: &Problems) -> Option<PowerModel> {
    let origin = said.origin().cloned()?;
    let raw = said.optional()?;
    let idle = raw.idle.required("idle", &origin, problems).map(|Watts(watts)| watts);
    let busy = raw.busy.required("busy", &origin, problems).map(|Watts(watts)| watts);
    let per_byte = raw.per_byte.required("per_byte", &origin, problems);
    let (idle, busy) = (idle?, busy?);
    if busy < idle {
        origin.problem(problems, format!("`busy` ({busy} W) must be at least `idle` ({idle} W)"));
    }
    per_byte.map(|Joules(per_byte)| PowerModel { idle, busy, per_byte })
}

fn link(said: Said<RawLink>, root: &Origin, problems: &Problems) -> LinkSettings {
    let origin = said.origin().unwrap_or(root).clone();
    let raw = said.or_default();
    let (bandwidth, downlink) = (raw.bandwidth.optional(), raw.downlink.optional());
    let expected = bandwidth.zip(raw.rtt.optional()).map(|(Rate(bandwidth), Span(rtt))| ExpectedLink {
        bandwidth,
        downlink: downlink.map_or(bandwidth, |Rate(downlink)| downlink),
        rtt,
    });
    let link = LinkSettings {
        expected,
        stall: span(raw.stall, default::STALL),
        idle_timeout: span(raw.idle_timeout, default::IDLE_TIMEOUT),
        keep_alive: span(raw.keep_alive, default::KEEP_ALIVE),
        congestion: raw.congestion.or_default(),
        tcp: raw.tcp.or_default(),
    };
    if link.keep_alive >= link.stall {
        let message = "must be shorter than `stall`, or a slow answer looks like a lost link";
        origin
            .problem(problems, format!("`keep_alive` ({:?}) {message} ({:?})", link.keep_alive, link.stall));
    }
    if link.idle_timeout < link.stall {
        let (idle, stall) = (link.idle_timeout, link.stall);
        origin.problem(problems, format!("`idle_timeout` ({idle:?}) must be at least `stall` ({stall:?})"));
    }
    link
}
