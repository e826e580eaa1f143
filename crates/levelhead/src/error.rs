//! What can go wrong when a guard or a rule pack is loaded. Judging has no errors.

use std::fmt;

/// Why a guard or a rule pack was not loaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a Levelhead artifact at all.
    NotAGuard,
    /// The artifact was written in another version of the format than this build reads.
    OtherVersion {
        /// The artifact's format version.
        found: u32,
        /// The format version that this build reads.
        supported: u32,
    },
    /// The artifact is cut short or its bytes have changed.
    Damaged {
        /// What does not fit.
        reason: String,
    },
    /// The artifact loads, but a probe prompt does not get the score that was written into it.
    SelfTest {
        /// The probe prompt.
        probe: String,
        /// The logit written by the trainer.
        expected: f32,
        /// The logit computed now.
        found: f32,
    },
    /// A rule pack holds a rule that cannot be used.
    Rule {
        /// The rule's id, or the pack where the pack itself does not parse.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotAGuard => write!(f, "not a levelhead guard (a .lh file made by `levelhead train` is expected)"),
            Error::OtherVersion { found, supported } if found > supported => {
                write!(f, "guard has format version {found}, newer than this build reads ({supported}): update levelhead")
            }
            Error::OtherVersion { found, supported } => {
                write!(f, "guard has format version {found}, older than this build reads ({supported}): train the guard again")
            }
            Error::Damaged { reason } => write!(f, "guard is damaged ({reason}): copy or train it again"),
            Error::SelfTest { probe, expected, found } => write!(
                f,
                "guard fails its self-test on {probe:?}: expected logit {expected}, found {found}; it was built for another version of the pipeline, train it again"
            ),
            Error::Rule { rule, reason } => write!(f, "rule {rule}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
