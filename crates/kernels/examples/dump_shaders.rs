//! Writes every shader permutation to `OUT/native` and `OUT/browser`, for validators outside this workspace (Tint).

use chord_kernels::shaders::{Target, Weights};
use chord_kernels::variants;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::args()
        .nth(1)
        .ok_or("usage: dump_shaders OUT_DIR")?;
    for (folder, target) in [("native", Target::Native), ("browser", Target::Browser)] {
        let folder = std::path::Path::new(&out).join(folder);
        std::fs::create_dir_all(&folder)?;
        for (shader, weights) in variants::all().iter().zip(Weights::in_turn()) {
            let text = shader.expand(target, weights)?;
            std::fs::write(folder.join(shader.name() + ".wgsl"), text)?;
        }
    }
    println!("{} permutations", variants::all().len());
    Ok(())
}
