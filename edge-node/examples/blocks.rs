//! What it gains to send large tensors while they are encoded and to decode them while they arrive:
//! JSON of the time from a tensor at hand on one node to the tensor at hand on the other, both ways
//! round, in blocks and as a whole, for three codecs, three sizes and four links. The two ways take
//! turns; each has its connection and its link. Takes some minutes;
//! `cargo run --release -p edge-node --example blocks -- [rounds]`.

#![allow(clippy::disallowed_methods, reason = "sockets live in time")]

use anyhow::{Context, bail, ensure};
use kerf_bundle::{Codecs, Coding, Measured, Metric, Pack, PackRequest};
use kerf_codec::{
    Bits, Book, BuiltIn, CodecId, Coder, Contexts, Entropy, Entry, Fitted, Limits, Per, Quantiser, Table,
    Tables,
};
use kerf_engine::SegmentStore;
use kerf_engines::{EngineChoice, open};
use kerf_graph::{Model, NoExternalData};
use kerf_identity::{Authority, Identity, PeerIdentity, Role};
use kerf_repository::{Overwrite, Repository};
use kerf_serving::{Compute, EarlyDecoder, Models, Served, Shipment};
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_testbed::link::{Link, LinkSettings};
use kerf_testbed::models::{ModelBuilder, Op};
use kerf_transport::{Begun, Client, Config, Connection, Handler, Server};
use kerf_wire::{
    Answer, Arrival, Ask, CodedTensor, Intake, Load, Reason, Refusal, Request, RequestHeader, RequestId,
    Response, Timings,
};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const CHANNELS: usize = 64;
/// Rows and columns: tensors of 1, 4 and 16 MiB.
const SIDES: [usize; 3] = [64, 128, 256];
/// 0: none.
const MBITS: [f64; 4] = [50.0, 200.0, 1000.0, 0.0];
const RTT: Duration = Duration::from_millis(5);
const FAR: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(11), |rounds| rounds.parse())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(rounds))
}

async fn measure(rounds: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let tensors: Vec<Tensor> = SIDES.iter().map(|side| activations(*side)).collect::<Result<_, _>>()?;
    let models = models(&Repository::new(folder.path()), &tensors[0])?;
    let served = models.find("relu").context("packed under another name")?;
    let authority = Authority::generate("bench CA")?;
    let mut cells = Vec::new();
    for mbits in MBITS {
        let mut ends = Vec::new();
        for blocks in [false, true] {
            ends.push(End::start(&authority, served, &tensors, mbits, blocks).await?);
        }
        for (codec, coding) in codings(served)? {
            for (size, tensor) in tensors.iter().enumerate() {
                for back in [false, true] {
                    let way = Way { coding, size, tensor, back };
                    let mut times = [Vec::new(), Vec::new()];
                    for round in 0..rounds + 2 {
                        let mut made = Vec::new();
                        for (end, times) in ends.iter().zip(&mut times) {
                            let (elapsed, bytes, sum) = end.transfer(&way).await?;
                            made.push((bytes, sum));
                            // The first ones widen the congestion window.
                            if round >= 2 {
                                times.push(elapsed.as_secs_f64() * 1e3);
                            }
                        }
                        ensure!(made[0] == made[1], "{codec}: the two ways differ: {made:?}");
                    }
                    let mut ratios: Vec<f64> =
                        times[0].iter().zip(&times[1]).map(|(whole, blocks)| whole / blocks).collect();
                    let [whole, blocks] = &mut times;
                    cells.push(json!({
                        "mbit_per_s": mbits, "codec": codec, "mib": tensor.data().len() >> 20,
                        "direction": if back { "answer" } else { "request" },
                        "coded_bytes": ends[0].transfer(&way).await?.1,
                        "whole_ms": round(median(whole)), "blocks_ms": round(median(blocks)),
                        "whole_over_blocks": round(median(&mut ratios)),
                    }));
                    eprintln!("{}", cells[cells.len() - 1]);
                }
            }
        }
    }
    println!("{}", serde_json::to_string_pretty(&cells)?);
    Ok(())
}

/// One transfer to measure.
struct Way<'a> {
    coding: Coding,
    /// Of the sizes.
    size: usize,
    tensor: &'a Tensor,
    /// As an answer, rather than a request.
    back: bool,
}

/// The edge's end of a connection, in blocks or as a whole.
struct End {
    connection: Connection,
    served: Arc<Served>,
    compute: Compute,
    blocks: bool,
    _link: Option<Link>,
}

impl End {
    async fn start(
        authority: &Authority,
        served: &Arc<Served>,
        tensors: &[Tensor],
        mbits: f64,
        blocks: bool,
    ) -> anyhow::Result<Self> {
        let config = Config { chunks: blocks, ..Config::default() };
        let server = Server::bind(
            (Ipv4Addr::LOCALHOST, 0).into(),
            &identity(authority, Role::Cloud)?,
            config.clone(),
        )?;
        let mut address: SocketAddr = server.local_addr();
        let compute = Compute::new(2);
        let node =
            Node { served: served.clone(), compute: compute.clone(), tensors: tensors.to_vec(), blocks };
        tokio::spawn(server.serve(Arc::new(node), std::future::pending()));
        let link = if mbits > 0.0 {
            let rate = mbits * 1e6 / 8.0;
            let queue = (2.0 * rate * RTT.as_secs_f64()).max(256e3) as u64;
            let link = Link::start(LinkSettings::symmetric(rate, RTT, queue)?, address)?;
            address = link.address();
            Some(link)
        } else {
            None
        };
        let client = Client::new(identity(authority, Role::Edge)?, config)?;
        let connection = client.connect(address, "cloud-1").await?;
        Ok(Self { connection, served: served.clone(), compute, blocks, _link: link })
    }

    /// Time, bytes, and a sum over the decoded tensor.
    async fn transfer(&self, way: &Way<'_>) -> anyhow::Result<(Duration, u64, String)> {
        let start = Instant::now();
        let tensors = match way.back {
            true => Vec::new(),
            false => {
                let named = NamedTensor { name: "x".into(), tensor: way.tensor.clone() };
                ship(&self.served, &self.compute, 0, named, way.coding, self.blocks).await?.tensors
            }
        };
        let request = Request {
            id: RequestId(rand::random()),
            ask: Ask::Finish,
            model: "relu".into(),
            digest: self.served.digest,
            boundary: 0,
            deadline: FAR,
            traceparent: None,
            tensors,
            outputs: if way.back { vec![way.size.to_string()] } else { vec![] },
            reply: way.coding.number(),
        };
        let last = self.served.last() as u16;
        let mut early = EarlyDecoder::new(self.served.clone(), last, self.compute.clone());
        let response = match self.blocks {
            true => self.connection.call_into(&request, FAR, &mut early).await?.response,
            false => self.connection.call(&request, FAR).await?,
        };
        let Response::Answer(answer) = response else { bail!("refused: {response:?}") };
        if !way.back {
            return Ok((start.elapsed(), bytes(&request.tensors), answer.engine));
        }
        let coded = bytes(&answer.tensors);
        let decode = move || early.finish(answer.tensors);
        let decoded = self.compute.run(Instant::now() + FAR, decode).await?.value?;
        Ok((start.elapsed(), coded, sum(&decoded)))
    }
}

fn bytes(tensors: &[CodedTensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.data.bytes()).sum()
}

async fn ship(
    served: &Arc<Served>,
    compute: &Compute,
    boundary: u16,
    tensor: NamedTensor,
    coding: Coding,
    blocks: bool,
) -> anyhow::Result<Shipment> {
    let (served, deadline) = (served.clone(), Instant::now() + FAR);
    Ok(if blocks {
        let work = move |tell: kerf_serving::Tell<Shipment>| {
            served.codecs.encode_ahead(boundary, vec![tensor], coding, |shipment| tell.tell(shipment));
        };
        compute.run_until_told(deadline, work).await?.value
    } else {
        compute.run(deadline, move || served.codecs.encode(boundary, vec![tensor], coding)).await?.value
    })
}

/// The cloud's end: decodes what comes, or sends what is asked for.
#[derive(Clone)]
struct Node {
    served: Arc<Served>,
    compute: Compute,
    tensors: Vec<Tensor>,
    blocks: bool,
}

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Handler for Node {
    fn admit(&self, _: &PeerIdentity, _: &RequestHeader) -> Result<(), Refusal> {
        Ok(())
    }

    fn begin(&self, _: &PeerIdentity, _: &RequestHeader) -> Option<Box<dyn Begun>> {
        let decoder = EarlyDecoder::new(self.served.clone(), 0, self.compute.clone());
        self.blocks.then(|| Box::new(Arriving { node: self.clone(), decoder }) as Box<dyn Begun>)
    }

    fn handle(&self, _: &PeerIdentity, request: Request, arrival: Arrival) -> Answering {
        let decoder = EarlyDecoder::new(self.served.clone(), 0, self.compute.clone());
        Box::pin(self.clone().answer(request, arrival, decoder))
    }
}

struct Arriving {
    node: Node,
    decoder: EarlyDecoder,
}

impl Begun for Arriving {
    fn intake(&mut self) -> &mut dyn Intake {
        &mut self.decoder
    }

    fn handle(self: Box<Self>, request: Request, arrival: Arrival) -> Answering {
        Box::pin(self.node.answer(request, arrival, self.decoder))
    }
}

impl Node {
    async fn answer(self, request: Request, arrival: Arrival, decoder: EarlyDecoder) -> Response {
        let id = request.id;
        match self.work(request, decoder).await {
            Ok((tensors, engine)) => Response::Answer(Answer {
                id,
                node: "cloud-1".into(),
                engine,
                tensors,
                timings: Timings::default(),
                load: Load::default(),
                arrival,
            }),
            Err(error) => Response::Refusal(Refusal {
                id,
                node: "cloud-1".into(),
                reason: Reason::Failed,
                message: format!("{error:#}"),
            }),
        }
    }

    async fn work(
        &self,
        request: Request,
        decoder: EarlyDecoder,
    ) -> anyhow::Result<(Vec<CodedTensor>, String)> {
        if let Some(size) = request.outputs.first() {
            let tensor = self.tensors.get(size.parse::<usize>()?).context("no such size")?.clone();
            let named = NamedTensor { name: "y".into(), tensor };
            let coding = Coding::from_number(request.reply).context("no such codec")?;
            let last = self.served.last() as u16;
            let shipment = ship(&self.served, &self.compute, last, named, coding, self.blocks).await?;
            return Ok((shipment.tensors, String::new()));
        }
        let decode = move || decoder.finish(request.tensors);
        let decoded = self.compute.run(Instant::now() + FAR, decode).await?.value?;
        Ok((Vec::new(), sum(&decoded)))
    }
}

/// Tells tensors apart, in less time than it takes to read all of a large one.
fn sum(tensors: &[NamedTensor]) -> String {
    let data =
        tensors.iter().flat_map(|named| named.tensor.data().chunks(4099).map(|chunk| u64::from(chunk[0])));
    data.enumerate().map(|(at, byte)| (at as u64 + 1) * byte).sum::<u64>().to_string()
}

fn identity(authority: &Authority, role: Role) -> anyhow::Result<Identity> {
    let name = if role == Role::Cloud { "cloud-1" } else { "edge-1" };
    let made = authority.issue(role, name, &[], Duration::from_secs(3600), SystemTime::now())?;
    Ok(Identity::from_pem(authority.cert_pem(), &made.cert_pem, &made.key_pem)?)
}

/// A model that does nothing much, with a codec that was fitted to a tensor at both its ends.
fn models(repository: &Repository, tensor: &Tensor) -> anyhow::Result<Models> {
    let onnx = ModelBuilder::new("relu")
        .input("x: f32[N, 64, H, W]")
        .output("y: f32[N, 64, H, W]")
        .node(Op::new("Relu", &["x"], &["y"]))
        .build();
    let model = Model::load(onnx.clone(), &NoExternalData)?;
    let pack = Pack::new(PackRequest {
        name: "relu",
        source_file: "relu.onnx",
        source: &onnx,
        model: &model,
        boundaries: 2,
        preprocess: None,
        metric: Metric::Numeric,
        tolerance: 1e-4,
    })?;
    let last = pack.model().last() as u16;
    let fitted = fit(tensor)?;
    let entry = |boundary, name: &str| Entry {
        boundary,
        name: "fitted".to_owned(),
        tensors: vec![(name.to_owned(), fitted.clone().into())],
    };
    let book = Book::new(vec![entry(0, "x"), entry(last, "y")])?;
    let measured = Measured { inputs: 1, metric: "top1".into(), confidence: 0.95, codecs: vec![] };
    repository.write(&pack.with_codecs(Codecs { book, measured }), Overwrite::Refuse)?;
    let engines = open(&EngineChoice::default())?.engines;
    Ok(Models::load(repository, &[], &engines, &Arc::new(SegmentStore::new(1 << 30)))?)
}

fn codings(served: &Served) -> anyhow::Result<Vec<(&'static str, Coding)>> {
    let int8 = |zstd| match zstd {
        false => BuiltIn::Int { bits: Bits::B8, per: Per::Channel },
        true => BuiltIn::IntZstd { bits: Bits::B8, per: Per::Channel },
    };
    let fitted = CodecId::fitted(0).context("no fitted codec has that number")?;
    let ids = [("int8c", int8(false).id()), ("int8cz", int8(true).id()), ("fitted", fitted)];
    ids.into_iter()
        .map(|(name, id)| {
            served.codecs.check(0, "x", id.0)?;
            Ok((name, Coding::from_number(id.0).context("no such codec")?))
        })
        .collect()
}

/// Steps of a quarter of the spread, one table for the tensor's own symbols, neighbours as context.
fn fit(tensor: &Tensor) -> anyhow::Result<Fitted> {
    let quantiser =
        Quantiser { step: 0.25, offset: 0.0, min: -2000, max: 2000, rounding: 0.42, shrink: 0.05 };
    let contexts = Contexts::Neighbours;
    let tables = |tables: Vec<Table>| Tables {
        level_of_component: vec![0; CHANNELS],
        level_of_position: vec![],
        levels: 1,
        contexts,
        map: (0..contexts.count() as u8).collect(),
        tables,
    };
    let mut fitted = Fitted {
        axis: 1,
        channels: CHANNELS,
        transform: None,
        spatial: None,
        quantisers: vec![quantiser; CHANNELS],
        entropy: Entropy::Coded(tables(vec![Table::fit(0, 0, &[1]); contexts.count()])),
    };
    let coder = Coder::new(&fitted.clone().into(), DType::F32, tensor.shape(), Limits::default())?;
    let mut counts = vec![vec![0u64; 65_536]; contexts.count()];
    for block in coder.symbols(tensor)? {
        for (symbol, place) in block.symbols.iter().zip(&block.places) {
            if let Some(counts) = place.and_then(|place| counts.get_mut(usize::from(place))) {
                counts[(i32::from(*symbol) + 32_768) as usize] += 1;
            }
        }
    }
    fitted.entropy = Entropy::Coded(tables(counts.iter().map(|it| Table::fit(0, i16::MIN, it)).collect()));
    Ok(fitted)
}

/// Values that vary smoothly over the planes, rectified: what convolutions leave, nearly.
fn activations(side: usize) -> anyhow::Result<Tensor> {
    let mut state = 5u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut values = Vec::with_capacity(CHANNELS * side * side);
    for _ in 0..CHANNELS {
        let mut row = vec![0.0f32; side];
        for _ in 0..side {
            let mut left = 0.0;
            for above in &mut row {
                left = 0.4 * left + 0.4 * *above + noise();
                *above = left;
                values.push(left.max(0.0));
            }
        }
    }
    Ok(Tensor::from_vec(&[1, CHANNELS, side, side], values)?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
