//! What the user can say; the comments are the `--help`.

use crate::plan::{PlaceArgs, PlanArgs};
use clap::{Args, Parser, Subcommand, ValueEnum};
use kerf_preprocess::{Channels, Filter, Layout, PixelType, Resize, Size};
use kerf_serving::PowerModel;
use std::path::PathBuf;
use std::time::Duration;

/// Cut an ONNX model between an edge and a cloud: pack it, look at it, verify it, certify its nodes
#[derive(Parser)]
#[command(name = "partitioner", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Examples:
  partitioner inspect mobilenet_v2.onnx
  partitioner pack mobilenet_v2.onnx --name mobilenet --into models --preprocess imagenet
  partitioner verify models/mobilenet
  partitioner profile models/mobilenet -o edge.profile.json
  partitioner plan models/mobilenet --edge edge.profile.json --cloud cloud.profile.json \
    --bandwidth 8Mbps --rtt 40ms --html report.html
  partitioner certs --into certs

Exit status: 0 done, 1 a check failed, 2 wrong usage or bad input.
NO_COLOR=1 turns colours off.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check a model, find its boundaries, and write it into a model repository
    Pack(PackArgs),
    /// Show a model's nodes, shapes, costs and boundaries
    Inspect(InspectArgs),
    /// Run head and tail at every boundary on every engine, and compare with the whole model
    Verify(VerifyArgs),
    /// Time head and tail at every boundary against the whole model
    Bench(BenchArgs),
    /// Measure a model on this device: the times that plans are made from
    Profile(ProfileArgs),
    /// Where to cut a model for given devices and a link, and why
    Plan(Box<PlanArgs>),
    /// Give a packed model early exits that keep a promise, or take them away
    Exits(ExitsArgs),
    /// Make a development CA and certificates for nodes
    Certs(CertsArgs),
}

#[derive(Args)]
pub(crate) struct PackArgs {
    /// The model; tensor data in other files beside it is read too
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// Name in the repository and in requests: a-z 0-9 . _ -
    #[arg(long)]
    pub(crate) name: String,
    /// The repository's folder; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// Outputs to keep, and what they need; the others are not computed any more [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) outputs: Vec<String>,
    /// Most boundaries to keep, with the inputs and the outputs
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = parse_boundaries)]
    pub(crate) boundaries: usize,
    /// Replace a model of that name
    #[arg(long)]
    pub(crate) force: bool,
    /// Largest relative difference that `verify` accepts
    #[arg(long, default_value_t = 1e-4, value_name = "X")]
    pub(crate) tolerance: f64,
    #[command(flatten)]
    pub(crate) picture: PictureArgs,
    #[command(flatten)]
    pub(crate) codecs: CodecArgs,
    /// What was packed as JSON, with what was measured of codecs
    #[arg(long)]
    pub(crate) json: bool,
}

/// With inputs, codecs are fitted to what crosses each boundary, tried, and packed.
#[derive(Args)]
#[command(next_help_heading = "Codecs fitted to real inputs")]
pub(crate) struct CodecArgs {
    /// Pictures, .npz files with arrays named as the inputs, or .npy files; labels.tsv beside them is used
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) inputs: Option<PathBuf>,
    /// When an answer counts as the same: top1, cosine:X, relative:X, boxes:PRESET|FILE, each with
    /// @OUTPUT,... where not all count [default: as shapes and names of the outputs suggest]
    #[arg(long, value_name = "METRIC", requires = "inputs")]
    pub(crate) metric: Option<kerf_agreement::Said>,
    /// Least share of answers that must stay the same where one codec is chosen
    #[arg(long, value_name = "SHARE", default_value = "99.5%", value_parser = parse_share)]
    pub(crate) agreement: f64,
    /// Most inputs to use
    #[arg(long, value_name = "K", default_value_t = 500, requires = "inputs", value_parser = clap::value_parser!(u32).range(8..=100_000))]
    pub(crate) samples: u32,
    /// Runs of the model to find out which errors its answers feel, for each boundary and half; 0 for none
    #[arg(long, value_name = "RUNS", default_value_t = 1500, requires = "inputs", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) probe: u32,
    /// Try no further codecs after this time
    #[arg(long, value_name = "TIME", default_value = "30min", requires = "inputs", value_parser = parse_duration)]
    pub(crate) codec_budget: Duration,
    /// Every codec that was tried, not only those worth having
    #[arg(long, requires = "inputs")]
    pub(crate) all: bool,
    /// A page with bytes against agreement, drawn
    #[arg(long, value_name = "FILE", requires = "inputs")]
    pub(crate) html: Option<PathBuf>,
}

/// Any of these makes encoded pictures an accepted input, beside the tensor.
#[derive(Args)]
#[command(next_help_heading = "Pictures (JPEG, PNG, WebP) as input")]
pub(crate) struct PictureArgs {
    /// Known steps; the options below change single ones
    #[arg(long, value_enum)]
    pub(crate) preprocess: Option<Preset>,
    /// The input that pictures become; needed where there are several candidates
    #[arg(long, value_name = "NAME")]
    pub(crate) input: Option<String>,
    /// Length of the shorter side, or WxH whatever the proportions
    #[arg(long, value_name = "SIDE|WxH", value_parser = parse_resize)]
    pub(crate) resize: Option<Resize>,
    /// Centre crop after resizing
    #[arg(long, value_name = "SIDE|WxH", value_parser = parse_size)]
    pub(crate) crop: Option<Size>,
    /// How resizing interpolates
    #[arg(long, value_parser = parse_name::<Filter>, value_name = "bilinear|bicubic")]
    pub(crate) filter: Option<Filter>,
    /// What the levels 0 to 255 are multiplied by [default: 1/255]
    #[arg(long, value_name = "X|X/Y", value_parser = parse_number)]
    pub(crate) scale: Option<f64>,
    /// Subtracted after scaling, for each channel or for all
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = parse_number, allow_hyphen_values = true)]
    pub(crate) mean: Option<Vec<f64>>,
    /// Divided by last, for each channel or for all
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = parse_number)]
    pub(crate) std: Option<Vec<f64>>,
    /// Order of the dimensions [default: as the input's shape says]
    #[arg(long, value_parser = parse_name::<Layout>, value_name = "nchw|nhwc")]
    pub(crate) layout: Option<Layout>,
    /// Order of the channels [default: rgb, or grey for one channel]
    #[arg(long, value_parser = parse_name::<Channels>, value_name = "rgb|bgr|grey")]
    pub(crate) channels: Option<Channels>,
    /// Element type [default: the input's]
    #[arg(long, value_parser = parse_name::<PixelType>, value_name = "f32|u8")]
    pub(crate) dtype: Option<PixelType>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Preset {
    /// Shorter side 256, centre crop 224, ImageNet's mean and standard deviation
    Imagenet,
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// An ONNX file, or a packed model's folder
    #[arg(value_name = "MODEL.onnx|DIR/NAME")]
    pub(crate) model: PathBuf,
    /// Every node, and names at full length
    #[arg(long)]
    pub(crate) all: bool,
    /// Size of a symbolic dimension [default: 1 for each]
    #[arg(long, value_name = "NAME=SIZE", value_parser = parse_binding)]
    pub(crate) bind: Vec<(String, usize)>,
    /// Most boundaries to find in an ONNX file; a packed model has its own
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = parse_boundaries)]
    pub(crate) boundaries: usize,
    /// Everything as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// A packed model's folder
    #[arg(value_name = "DIR/NAME")]
    pub(crate) model: PathBuf,
    /// Which engines to verify; the reference is ort where present, else tract
    #[arg(long, value_enum, default_value_t = Which::All)]
    pub(crate) engine: Which,
    /// Pictures to use as inputs, by the model's preprocessing [default: random tensors]
    #[arg(long, value_name = "DIR")]
    pub(crate) inputs: Option<PathBuf>,
    /// Inputs to compare [default: 4; 72 for quantised models; 32 with --inputs]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) samples: Option<u32>,
    /// Largest max|a-b| / max|ref| that passes [default: the card's]
    #[arg(long, value_name = "X")]
    pub(crate) tolerance: Option<f64>,
    /// Size of a symbolic dimension [default: batches of 1 and 2, others by what they seem to be]
    #[arg(long, value_name = "NAME=SIZE", value_parser = parse_binding)]
    pub(crate) bind: Vec<(String, usize)>,
    /// The ONNX Runtime library, where it is not found by itself
    #[arg(long, value_name = "PATH")]
    pub(crate) library: Option<PathBuf>,
    /// The result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    /// Every engine that is present
    All,
    /// tract, which is built in
    Tract,
    /// ONNX Runtime
    Ort,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// A packed model's folder
    #[arg(value_name = "DIR/NAME")]
    pub(crate) model: PathBuf,
    /// Which engines to time
    #[arg(long, value_enum, default_value_t = Which::All)]
    pub(crate) engine: Which,
    /// Threads of an engine that can use several
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
    /// Interleaved runs for each boundary
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) runs: u32,
    /// Size of a symbolic dimension [default: a batch of 1, others by what they seem to be]
    #[arg(long, value_name = "NAME=SIZE", value_parser = parse_binding)]
    pub(crate) bind: Vec<(String, usize)>,
    /// The ONNX Runtime library, where it is not found by itself
    #[arg(long, value_name = "PATH")]
    pub(crate) library: Option<PathBuf>,
    /// The result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ProfileArgs {
    /// A packed model's folder
    #[arg(value_name = "DIR/NAME")]
    pub(crate) model: PathBuf,
    /// The profile; one that is there and unfinished is continued, and so is kept up to date while
    /// measuring
    #[arg(short, long, value_name = "FILE.profile.json")]
    pub(crate) output: PathBuf,
    /// The engine to time
    #[arg(long, value_enum, default_value_t = Preferred::Auto)]
    pub(crate) engine: Preferred,
    /// Threads of an engine that can use several; 0 for as many as the process may use
    #[arg(long, default_value_t = 0, value_name = "K", value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub(crate) threads: u32,
    /// Time to measure for; it ends earlier when all is known well
    #[arg(long, default_value = "120s", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) budget: Duration,
    /// Largest batch to time the tails at, in powers of two; 1 where batches are not independent
    #[arg(long, default_value_t = 1, value_name = "B", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) batch: u32,
    /// Each node's time as well, by the engine's own profiler
    #[arg(long)]
    pub(crate) per_layer: bool,
    /// Pictures whose sizes and decoding count, by the model's preprocessing [default: random tensors]
    #[arg(long, value_name = "DIR")]
    pub(crate) inputs: Option<PathBuf>,
    /// What the device draws, instead of its sensor: idle=3W,busy=7W,byte=2uJ, or a YAML file with
    /// idle_watts, busy_watts and joules_per_byte_sent
    #[arg(long, value_name = "WATTS|FILE")]
    pub(crate) power: Option<PowerModel>,
    /// Measure anew, whatever is in the file
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Afterwards time up to K of the ranges that were not timed, and compare with what is predicted
    /// of them; fails beyond a median error of 10 %
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) check: Option<u32>,
    /// Size of a symbolic dimension [default: a batch of 1, others by what they seem to be]
    #[arg(long, value_name = "NAME=SIZE", value_parser = parse_binding)]
    pub(crate) bind: Vec<(String, usize)>,
    /// The ONNX Runtime library, where it is not found by itself
    #[arg(long, value_name = "PATH")]
    pub(crate) library: Option<PathBuf>,
    /// The result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preferred {
    /// ONNX Runtime where it is found, else tract
    Auto,
    /// tract, which is built in
    Tract,
    /// ONNX Runtime
    Ort,
}

#[derive(Args)]
pub(crate) struct ExitsArgs {
    #[command(subcommand)]
    pub(crate) command: ExitsCommand,
}

#[derive(Subcommand)]
pub(crate) enum ExitsCommand {
    /// Fit heads to inputs, test their promise, and pack them beside the model
    Fit(Box<ExitsFitArgs>),
    /// Remove a model's exits
    Remove(ExitsRemoveArgs),
}

#[derive(Args)]
pub(crate) struct ExitsRemoveArgs {
    /// A packed model
    #[arg(value_name = "DIR/N")]
    pub(crate) model: PathBuf,
}

#[derive(Args)]
pub(crate) struct ExitsFitArgs {
    /// A packed model that classifies
    #[arg(value_name = "DIR/N")]
    pub(crate) model: PathBuf,
    /// Heads are fitted to these: pictures, .npz files with arrays named as the inputs, or .npy files. Without
    /// --calibrate half of them is kept back to propose and to test thresholds
    #[arg(long, value_name = "DIR|FILE", required_unless_present = "declared")]
    pub(crate) inputs: Option<PathBuf>,
    /// Outputs that the model was made with as exits, used as they are: --calibrate is all that they need; with
    /// --inputs heads are fitted beside them
    #[arg(long, value_name = "OUTPUT,…", value_delimiter = ',')]
    pub(crate) declared: Vec<String>,
    /// The file that the model was packed from, where --declared outputs were left out of it (`pack --outputs`)
    #[arg(long, value_name = "MODEL.onnx", requires = "declared")]
    pub(crate) source: Option<PathBuf>,
    /// Thresholds are proposed on a third of these, and the promise is tested on the rest; they should be
    /// like what will be asked
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) calibrate: Option<PathBuf>,
    /// What it all comes to is reported on these, which nothing else looks at
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Most requests, of all, for which some head is confident and wrong
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = parse_share)]
    pub(crate) risk: f64,
    /// How sure that shall be
    #[arg(long, value_name = "SHARE", default_value = "95%", value_parser = parse_share)]
    pub(crate) confidence: f64,
    /// Right answers: name and class on each line [default: labels.tsv beside the inputs, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Count a head as wrong where it is and the whole model is not, instead of where they disagree;
    /// every input needs a label
    #[arg(long)]
    pub(crate) labelled: bool,
    /// Boundaries to try [default: up to eight, spread over the model]
    #[arg(long, value_name = "bN,…", value_delimiter = ',', value_parser = parse_boundary, requires = "inputs")]
    pub(crate) boundaries: Vec<u16>,
    /// The classifier's output, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) output: Option<String>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// How often heads see each image: as it is, mirrored, moved a little; the whole model says what each
    /// is [default: until there are 40000, at most 8; 1 where the input is no image]
    #[arg(long, value_name = "N", value_parser = parse_views)]
    pub(crate) views: Option<usize>,
    /// Equal seeds make equal heads
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) seed: u64,
    /// Try it all, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// libonnxruntime to load, where the usual places are not meant
    #[arg(long, value_name = "FILE")]
    pub(crate) library: Option<PathBuf>,
    /// A page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Everything as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ExitsFitArgs {
    /// Whether heads are fitted, or all exits are declared.
    pub(crate) fn fits(&self) -> bool {
        self.inputs.is_some()
    }
}

#[derive(Args)]
pub(crate) struct CertsArgs {
    /// Folder for ca.pem, ca.key, NAME.pem and NAME.key; a CA that is there is used again
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// An edge node [default: edge-1, where no node is named]
    #[arg(long, value_name = "NAME")]
    pub(crate) edge: Vec<String>,
    /// A cloud node [default: cloud-1, where no node is named]
    #[arg(long, value_name = "NAME")]
    pub(crate) cloud: Vec<String>,
    /// How long the nodes' certificates are valid
    #[arg(long, default_value_t = 90, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,
    /// Replace certificates of these nodes
    #[arg(long)]
    pub(crate) force: bool,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is not a share from 0% to 100%; write for example 99.5%");
    let percent: f64 =
        text.strip_suffix('%').and_then(|number| number.trim().parse().ok()).ok_or_else(wrong)?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0).ok_or_else(wrong)
}

fn parse_views(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|views| (1..=64).contains(views))
        .ok_or_else(|| "expected a number from 1 to 64".into())
}

fn parse_boundary(text: &str) -> Result<u16, String> {
    let number = text.strip_prefix('b').and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("{text:?} is no boundary; write for example b7"))
}

fn parse_boundaries(text: &str) -> Result<usize, String> {
    let most = kerf_graph::MAX_BOUNDARIES;
    let value = text.parse().ok().filter(|value| (2..=most).contains(value));
    value.ok_or_else(|| format!("expected a number from 2 to {most}"))
}

fn parse_resize(text: &str) -> Result<Resize, String> {
    match text.parse() {
        Ok(side) => Ok(Resize::ShorterSide(side)),
        Err(_) => parse_size(text).map(Resize::Exact),
    }
}

fn parse_size(text: &str) -> Result<Size, String> {
    let wrong = |_| format!("{text:?} is neither a side like 224 nor a size like 320x240");
    let (width, height) = text.split_once('x').unwrap_or((text, text));
    Ok(Size { width: width.parse().map_err(wrong)?, height: height.parse().map_err(wrong)? })
}

fn parse_number(text: &str) -> Result<f64, String> {
    let wrong = |_| format!("{text:?} is neither a number nor a fraction like 1/255");
    let (over, under) = text.split_once('/').unwrap_or((text, "1"));
    let value = over.parse::<f64>().map_err(wrong)? / under.parse::<f64>().map_err(wrong)?;
    if value.is_finite() { Ok(value) } else { Err(format!("{text:?} is not finite")) }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    kerf_settings::units::duration(text).map_err(|error| error.to_string())
}

pub(crate) fn parse_binding(text: &str) -> Result<(String, usize), String> {
    let wrong = || format!("{text:?} is not like N=8");
    let (name, size) = text.split_once('=').ok_or_else(wrong)?;
    let size = size.parse().ok().filter(|size| (1..=1 << 24).contains(size)).ok_or_else(wrong)?;
    Ok((name.into(), size))
}

/// The names that the card uses.
fn parse_name<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.to_ascii_lowercase().into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values() {
        assert_eq!(parse_number("1/255"), Ok(1.0 / 255.0));
        assert_eq!(parse_number("-0.5"), Ok(-0.5));
        assert!(parse_number("1/0").is_err());
        assert_eq!(parse_resize("256"), Ok(Resize::ShorterSide(256)));
        assert_eq!(parse_resize("320x240"), Ok(Resize::Exact(Size { width: 320, height: 240 })));
        assert!(parse_size("320x").is_err());
        assert_eq!(parse_name::<Layout>("NHWC"), Ok(Layout::Nhwc));
        assert!(parse_name::<Channels>("cmyk").unwrap_err().contains("rgb"));
        assert_eq!(parse_binding("N=8"), Ok(("N".into(), 8)));
        assert!(parse_binding("N=0").is_err());
    }
}
