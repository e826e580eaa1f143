//! How a long step tells how far it is. The lab only reports; what is shown, and where, is the caller's business.

/// Receives the progress of a step.
pub trait Progress: Sync {
    /// A stage begins; `total` units of work lie ahead.
    fn begin(&self, stage: &str, total: u64);
    /// `done` more units are finished.
    fn advance(&self, done: u64);
    /// A figure to show beside the bar, such as the loss.
    fn note(&self, text: &str);
    /// The stage is over.
    fn end(&self);
    /// A line for a person that stays: a result or a warning.
    fn say(&self, text: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn note(&self, _: &str) {}
    fn end(&self) {}
    fn say(&self, _: &str) {}
}
