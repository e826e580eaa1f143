//! Make and measure guards: data in, a guard and the proof of it out.
//!
//! The modules stand in the order of the work; each uses only those above it.

pub mod error;
pub mod random;
pub mod progress;
pub mod stats;
pub mod row;
pub mod mojibake;
pub mod output;
pub mod read;
pub mod write;
mod shingle;
pub mod group;
pub mod merge;
pub mod check;
pub mod split;
mod example;
mod family;
pub mod train;
pub mod subject;
pub mod calibrate;
pub mod variation;
pub mod reinforce;
pub mod standing;
pub mod parts;

pub use error::{Error, Result};
