//! Starts the random generator and ends: the part of `sign` that no program on
//! this crypto library is without. For `benches/process.py`.

fn main() -> Result<(), aws_lc_rs::error::Unspecified> {
    aws_lc_rs::rand::fill(&mut [0; 32])
}
