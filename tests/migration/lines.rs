//! Lines of an export, and whether two exports hold the same.

use std::sync::Arc;

use cml::{
    BoxStream, Result, Scope,
    ops::{ExportHeader, ExportLine},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use libtest_mimic::Failed;

use crate::TestResult;

/// An export with its header; a clone shares the lines.
#[derive(Clone)]
pub(crate) struct Lines {
    tenant: String,
    lines: Arc<[ExportLine]>,
}

impl Lines {
    pub(crate) async fn of(scope: &Scope, lines: BoxStream<'static, Result<ExportLine>>) -> Result<Self> {
        Ok(Self::new(scope, lines.try_collect().await?))
    }

    pub(crate) fn new(scope: &Scope, lines: Vec<ExportLine>) -> Self {
        Self { tenant: scope.tenant().to_owned(), lines: lines.into() }
    }

    /// The lines as an export streams them.
    pub(crate) fn stream(&self) -> BoxStream<'static, Result<ExportLine>> {
        let lines = Arc::clone(&self.lines);
        stream::iter(0..lines.len()).map(move |at| Ok(lines[at].clone())).boxed()
    }

    /// All but the header.
    pub(crate) fn rows(&self) -> &[ExportLine] {
        &self.lines[1..]
    }

    /// How many rows are of a kind.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.rows().iter().filter(|line| line.kind() == kind).count()
    }

    /// Checks that both hold the same rows in the same order, but for the name of the tenant, and the same
    /// header but for its time.
    pub(crate) fn check_equal(&self, expected: &Self) -> TestResult {
        assert_eq!(header(&self.lines)?.models, header(&expected.lines)?.models);
        for kind in ExportLine::KINDS {
            assert_eq!(self.count(kind), expected.count(kind), "{kind}");
        }
        for (number, (line, wanted)) in self.rows().iter().zip(expected.rows()).enumerate() {
            let (line, wanted) = (said(line, &self.tenant)?, said(wanted, &expected.tenant)?);
            if line != wanted {
                return Err(format!("line {}:\n  {line}\nis not\n  {wanted}", number + 2).into());
            }
        }
        Ok(())
    }
}

fn header(lines: &[ExportLine]) -> TestResult<&ExportHeader> {
    match lines.first() {
        Some(ExportLine::Header(header)) => Ok(header),
        _ => Err(Failed::from("no header")),
    }
}

/// A line as it stands in a file, of no tenant in particular.
fn said(line: &ExportLine, tenant: &str) -> TestResult<String> {
    Ok(serde_json::to_string(line)?.replace(tenant, "TENANT"))
}
