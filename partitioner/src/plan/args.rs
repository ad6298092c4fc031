//! What `partitioner plan` can be asked; the comments are its `--help`.

use super::ask;
use super::measure::MeasureArgs;
use clap::Args;
use kerf_planner::Traffic;
use kerf_planner::tiers::Deadline;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// A packed model's folder
    #[arg(value_name = "DIR/NAME")]
    pub(crate) model: PathBuf,
    /// What the edge measured of it: `partitioner profile` there
    #[arg(long, value_name = "PROFILE")]
    pub(crate) edge: PathBuf,
    /// What the cloud measured of it
    #[arg(long, value_name = "PROFILE")]
    pub(crate) cloud: PathBuf,
    /// A tier between the two; several in the order in which they lie
    #[arg(long, value_name = "PROFILE")]
    pub(crate) tier: Vec<PathBuf>,
    /// How requests come: sparse, a tenth of a second or more apart, so that devices rest in between, or
    /// dense; one value, or one for each device from the edge onward
    #[arg(long, default_value = "sparse", value_name = "HOW", value_delimiter = ',', value_parser = ask::traffic)]
    pub(crate) traffic: Vec<Traffic>,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) wish: WishArgs,
    #[command(flatten)]
    pub(crate) running: MeasureArgs,
    /// The result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// A page that explains the plan, in one file
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
}

/// What exits are placed by: with the profiles of both devices and the link between them where to ship is
/// chosen together with the exits; with the edge's alone it runs everything.
#[derive(Args)]
#[command(next_help_heading = "Placement, by what requests take of devices instead of by multiplications")]
pub(crate) struct PlaceArgs {
    /// What the edge measured of the model: `partitioner profile` there
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<PathBuf>,
    /// What the cloud measured of it
    #[arg(long, value_name = "PROFILE", requires_all = ["profile", "bandwidth", "rtt"])]
    pub(crate) cloud_profile: Option<PathBuf>,
    /// Rate of the link upward, as 8Mbps
    #[arg(long, value_name = "RATE", requires = "cloud_profile", value_parser = ask::rate)]
    pub(crate) bandwidth: Option<f64>,
    /// Rate back [default: as upward]
    #[arg(long, value_name = "RATE", requires = "cloud_profile", value_parser = ask::rate)]
    pub(crate) downlink: Option<f64>,
    /// Round-trip time without load, as 40ms
    #[arg(long, value_name = "TIME", requires = "cloud_profile", value_parser = ask::seconds)]
    pub(crate) rtt: Option<f64>,
    /// How requests come: sparse, a tenth of a second or more apart, or dense
    #[arg(long, default_value = "sparse", value_name = "HOW", value_parser = ask::traffic)]
    pub(crate) traffic: Traffic,
    #[command(flatten)]
    pub(crate) wish: WishArgs,
}

/// One value, or one for each link from the edge onward.
#[derive(Args)]
#[command(next_help_heading = "The link")]
pub(crate) struct LinkArgs {
    /// Rate upward, as 8Mbps
    #[arg(long, required = true, value_name = "RATE", value_delimiter = ',', value_parser = ask::rate)]
    pub(crate) bandwidth: Vec<f64>,
    /// Rate back [default: as upward]
    #[arg(long, value_name = "RATE", value_delimiter = ',', value_parser = ask::rate)]
    pub(crate) downlink: Vec<f64>,
    /// Round-trip time without load, as 40ms
    #[arg(long, required = true, value_name = "TIME", value_delimiter = ',', value_parser = ask::seconds)]
    pub(crate) rtt: Vec<f64>,
}

#[derive(Args)]
#[command(next_help_heading = "What is wanted")]
pub(crate) struct WishArgs {
    /// What shall be least: latency, energy, bytes, money, or a sum of seconds, joules, bytes and
    /// units of currency as latency+2.5*energy
    #[arg(long, default_value = "latency", value_parser = ask::objective)]
    pub(crate) objective: ask::Asked,
    /// By when answers are there, and how many of them [default quantile: p95]
    #[arg(long, value_name = "TIME[@pQ]", value_parser = ask::deadline)]
    pub(crate) deadline: Option<Deadline>,
    /// The first boundary that may leave the edge
    #[arg(long, value_name = "BOUNDARY", value_parser = ask::boundary)]
    pub(crate) privacy_floor: Option<usize>,
    /// Least share of answers that are the whole model's: which of the codecs that the model was packed
    /// with may be used
    #[arg(long, default_value = "99.5%", value_name = "SHARE", value_parser = ask::share)]
    pub(crate) agreement_floor: f64,
    /// Most energy of a request, as 50mJ
    #[arg(long, value_name = "ENERGY", value_parser = ask::joules)]
    pub(crate) energy: Option<f64>,
    /// Memory that the edge has for the model, as 512MiB
    #[arg(long, value_name = "BYTES", value_parser = ask::bytes)]
    pub(crate) memory: Option<f64>,
    /// Price of a gigabyte (10^9 bytes) on the link, either way
    #[arg(long, default_value_t = 0.0, value_name = "X", value_parser = ask::money)]
    pub(crate) price_per_gb: f64,
    /// Price of an hour of computing in the cloud
    #[arg(long, default_value_t = 0.0, value_name = "X", value_parser = ask::money)]
    pub(crate) price_per_hour: f64,
}
