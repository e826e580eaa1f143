//! Make and measure guards.

pub mod error;
pub mod random;
pub mod progress;
pub mod stats;
pub mod row;
pub mod mojibake;
pub mod output;
pub mod read;
pub mod write;
mod example;
mod family;
pub mod train;
pub mod subject;

pub use error::{Error, Result};
