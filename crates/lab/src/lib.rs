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
pub mod frame;
pub mod starter;
mod shingle;
pub mod group;
pub mod merge;
pub mod check;
pub mod split;
mod example;
mod family;
pub mod train;
pub mod subject;
pub mod language;
pub mod slice;
pub mod false_positive;
mod phrase;
mod trigger;
pub mod cluster;
pub mod audit;
pub mod audit_file;
pub mod audit_report;
pub mod words;
pub mod measure;
pub mod bootstrap;
pub mod evaluate;
pub mod evaluation_text;
pub mod gate_file;
pub mod gate_metrics;
pub mod gate;
pub mod gate_text;
pub mod calibrate;
pub mod variation;
pub mod choose;
mod neighbor;
pub mod reinforce;
pub mod standing;
pub mod parts;
pub mod judged;
pub mod improvement;
pub mod improve;
pub mod report;

pub use error::{Error, Result};
