//! An audit as Markdown, the verdict first.

use crate::audit::Audit;

/// Writes the report.
pub fn audit_markdown(audit: &Audit) -> String {
    format!("{} of {} flagged\n", audit.false_positives, audit.total)
}
