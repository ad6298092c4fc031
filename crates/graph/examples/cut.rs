//! Writes the head and the tail of a model at each of its boundaries.
//!
//! usage: cut MODEL.onnx OUTDIR [MAX_BOUNDARIES]
#![allow(clippy::disallowed_methods, reason = "prints how long it took")]

use bytes::Bytes;
use kerf_graph::{CutModel, ExternalData, Model, boundaries};
use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

struct Folder(PathBuf);

impl ExternalData for Folder {
    fn read(&self, location: &str, offset: u64, length: Option<u64>) -> Result<Bytes, String> {
        let mut data = Vec::new();
        let mut file = File::open(self.0.join(location)).map_err(|error| error.to_string())?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| error.to_string())?;
        file.take(length.unwrap_or(u64::MAX)).read_to_end(&mut data).map_err(|error| error.to_string())?;
        Ok(data.into())
    }
}

fn main() -> ExitCode {
    match cut() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn cut() -> Result<(), Box<dyn Error>> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let [model, out, max @ ..] = &arguments[..] else {
        return Err("usage: cut MODEL.onnx OUTDIR [MAX_BOUNDARIES]".into());
    };
    let max = max.first().map_or(Ok(16), |max| max.parse())?;
    let (path, out) = (Path::new(model), Path::new(out));
    let onnx = Bytes::from(std::fs::read(path)?);
    let folder = Folder(path.parent().unwrap_or(Path::new(".")).to_owned());

    let start = Instant::now();
    let model = Model::load(onnx, &folder)?;
    let loaded = start.elapsed();
    let boundaries = boundaries(&model, max);
    let found = start.elapsed();
    let model = CutModel::new(model, boundaries)?;

    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("whole.onnx"), model.model().to_onnx()?)?;
    for (index, boundary) in model.boundaries().iter().enumerate() {
        let bytes = boundary.bytes.map_or("?".into(), |bytes| bytes.to_string());
        let after = boundary.after.as_deref().unwrap_or("-");
        println!(
            "b{index}: {} nodes, {} MACs, {bytes} B, after {after}",
            boundary.nodes, boundary.macs_before
        );
        for tensor in &boundary.tensors {
            println!("    {tensor}");
        }
        if index > 0 {
            std::fs::write(out.join(format!("head{index}.onnx")), model.segment(0, index)?.onnx)?;
        }
        if index < model.last() {
            std::fs::write(out.join(format!("tail{index}.onnx")), model.segment(index, model.last())?.onnx)?;
        }
    }
    let nodes = model.model().nodes().len();
    println!("{nodes} nodes, loaded in {loaded:?}, boundaries in {:?}", found - loaded);
    Ok(())
}
