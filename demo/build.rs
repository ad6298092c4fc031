//! Lists the frames of `assets/frames` so that the binary carries them.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/frames");
    println!("cargo::rerun-if-changed={}", folder.display());
    let labels =
        std::fs::read_to_string(folder.join("labels.tsv")).expect("assets/frames/labels.tsv is readable");
    let mut code = String::from("static FRAMES: &[(&[u8], usize)] = &[\n");
    for line in labels.lines() {
        let mut fields = line.split('\t');
        let (Some(file), Some(Ok(label))) = (fields.next(), fields.next().map(str::parse::<usize>)) else {
            continue; // the heading
        };
        let path = folder.join(file);
        writeln!(code, "    (include_bytes!({path:?}), {label}),").expect("a String takes all");
    }
    code.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("frames.rs"), code).expect("OUT_DIR is writable");
}
