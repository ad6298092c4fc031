//! Prints type and shape of every value that a model's nodes produce, and what each node costs.
//!
//! usage: shapes MODEL.onnx [SYMBOL=SIZE ...] [ones]

use bytes::Bytes;
use kerf_graph::{Bindings, ExternalData, Model};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

struct Folder(PathBuf);

impl ExternalData for Folder {
    fn read(&self, location: &str, offset: u64, length: Option<u64>) -> Result<Bytes, String> {
        let data = Bytes::from(std::fs::read(self.0.join(location)).map_err(|error| error.to_string())?);
        let end = length.map_or(Some(data.len() as u64), |length| offset.checked_add(length));
        match end.filter(|end| offset <= *end && *end <= data.len() as u64) {
            Some(end) => Ok(data.slice(offset as usize..end as usize)),
            None => Err(format!("is only {} bytes long", data.len())),
        }
    }
}

fn main() -> ExitCode {
    match shapes() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn shapes() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: shapes MODEL.onnx [SYMBOL=SIZE ...] [ones]")?;
    let mut bindings = Bindings::default();
    for argument in arguments {
        bindings = match argument.split_once('=') {
            Some((symbol, size)) => bindings.with(symbol, size.parse()?),
            None if argument == "ones" => Bindings::ones(),
            None => return Err(format!("{argument}: neither SYMBOL=SIZE nor `ones`").into()),
        };
    }
    let folder = Path::new(&path).parent().unwrap_or(Path::new(".")).to_owned();
    let model = Model::load(Bytes::from(std::fs::read(&path)?), &Folder(folder))?;
    let analysis = model.analyse(&bindings);
    for (index, node) in model.nodes().iter().enumerate() {
        let cost = analysis.cost(index);
        println!("# {} {} · {} MACs · {} parameters", node.op, node.name, cost.macs, cost.params);
        for value in node.writes() {
            match analysis.spec(value) {
                Some(spec) => println!("{spec}"),
                None => println!("{value}: ?"),
            }
        }
    }
    let total = analysis.total();
    let bytes = total.output_bytes.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string());
    println!(
        "# {} nodes · {} MACs · {} parameters in {} bytes · {bytes} bytes between nodes · {} values of unknown size",
        model.nodes().len(),
        total.macs,
        total.params,
        total.weight_bytes,
        analysis.unknown().len(),
    );
    Ok(())
}
