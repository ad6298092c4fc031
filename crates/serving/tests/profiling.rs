//! A node measures its own models, as `--profile` would have it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clap::Parser;
use kerf_bundle::{Metric, Pack, PackRequest};
use kerf_engine::SegmentStore;
use kerf_graph::{Model, NoExternalData};
use kerf_profile::{PowerSource, Profile};
use kerf_repository::{Overwrite, Repository};
use kerf_serving::{ProfileArguments, ProfileFolder, ProfiledNode, ProfilingError, Served, open_engines};
use kerf_settings::{EngineKind, EngineSettings};
use std::path::Path;
use std::sync::Arc;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    profiling: ProfileArguments,
}

const ENGINE: EngineSettings = EngineSettings { kind: EngineKind::Tract, threads: 4, library: None };

fn arguments(more: &[&str]) -> ProfileArguments {
    let all = ["node", "--profile", "--budget", "30s"].iter().chain(more);
    Arguments::try_parse_from(all).unwrap().profiling
}

fn pack(repository: &Path, name: &str) {
    let source = kerf_testbed::models::tiny_classifier();
    let model = Model::load(source.clone(), &NoExternalData).unwrap();
    let pack = Pack::new(PackRequest {
        name,
        source_file: "tiny.onnx",
        source: &source,
        model: &model,
        boundaries: 16,
        preprocess: None,
        metric: Metric::Numeric,
        tolerance: 1e-4,
    });
    Repository::new(repository).write(&pack.unwrap(), Overwrite::Refuse).unwrap();
}

fn own(folder: &ProfileFolder, repository: &Path, name: &str) -> Profile {
    let bundle = Repository::new(repository).open(name).unwrap();
    let engines = open_engines(&ENGINE).unwrap().engines;
    let served = Served::new(bundle, &engines, &Arc::new(SegmentStore::new(0)));
    folder.own(&served).unwrap().unwrap()
}

#[test]
fn every_model_gets_a_profile_and_a_finished_one_stays() {
    let at = tempfile::tempdir().unwrap();
    let (repository, profiles) = (at.path().join("models"), at.path().join("profiles"));
    pack(&repository, "first");
    pack(&repository, "second");
    let node =
        ProfiledNode { engine: &ENGINE, repository: &repository, models: &[], profiles: Some(&profiles) };
    let modelled = arguments(&["--power", "idle=1W,busy=3W,byte=1uJ"]);
    assert!(modelled.run(&node).unwrap());
    let folder = ProfileFolder::new(&profiles);
    for name in ["first", "second"] {
        let profile = own(&folder, &repository, name);
        assert_eq!((profile.engine.name.as_str(), profile.engine.threads), ("tract", 1));
        assert!(profile.complete && profile.sizes.is_some() && !profile.ranges.is_empty());
        let power = profile.power.unwrap();
        assert_eq!((power.idle_watts, power.busy_watts), (1.0, 3.0));
        assert_eq!(power.source, PowerSource::Modelled);
    }

    let before = own(&folder, &repository, "first");
    assert!(modelled.run(&node).unwrap());
    assert_eq!(own(&folder, &repository, "first").ranges, before.ranges);

    // Of another version: measured anew.
    std::fs::copy(folder.own_path("second"), folder.own_path("first")).unwrap();
    assert!(modelled.run(&node).unwrap());
    assert_eq!(own(&folder, &repository, "first").model, "first");
}

#[test]
fn what_is_missing_is_told() {
    let at = tempfile::tempdir().unwrap();
    let node = ProfiledNode { engine: &ENGINE, repository: at.path(), models: &[], profiles: None };
    let error = arguments(&[]).run(&node).unwrap_err();
    assert!(matches!(error, ProfilingError::NoFolder) && error.to_string().contains("set `profiles`"));
    let profiles = at.path().join("profiles");
    let error = arguments(&[]).run(&ProfiledNode { profiles: Some(&profiles), ..node }).unwrap_err();
    assert!(matches!(error, ProfilingError::NoModel(_)), "{error}");
    let unasked = Arguments::try_parse_from(["node"]).unwrap().profiling;
    assert!(!unasked.run(&node).unwrap());
    assert!(Arguments::try_parse_from(["node", "--budget", "1s"]).is_err());
}
