//! Lists the frames of `assets/frames` so that the binary carries them.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/frames");
    println!("cargo::rerun-if-changed={}", folder.display());
    let labels = folder.join("labels.tsv");
    let labels =
        std::fs::read_to_string(&labels).map_err(|error| format!("{}: {error}", labels.display()))?;
    let mut code = String::from("static FRAMES: &[(&[u8], usize)] = &[\n");
    for line in labels.lines() {
        let mut fields = line.split('\t');
        let (Some(file), Some(Ok(label))) = (fields.next(), fields.next().map(str::parse::<usize>)) else {
            continue; // the heading
        };
        let path = folder.join(file);
        writeln!(code, "    (include_bytes!({path:?}), {label}),")?;
    }
    code.push_str("];\n");
    let out = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&out).join("frames.rs"), code)?;
    Ok(())
}
