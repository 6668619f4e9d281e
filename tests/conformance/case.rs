//! A case, and lists of them.

use cml::Capability;
use futures_util::future::BoxFuture;
use libtest_mimic::Failed;

use crate::{backends::Place, ctx::Ctx};

/// The result of a case and of its helpers.
pub(crate) type CaseResult<T = ()> = Result<T, Failed>;

/// A sentence of the contract as a test.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Capability],
    /// Whether it opens the same memories again.
    pub(crate) reopens: bool,
    pub(crate) run: for<'a> fn(&'a Ctx) -> BoxFuture<'a, CaseResult>,
}

impl Case {
    /// Why `place` cannot run it, if it cannot.
    pub(crate) fn skip_reason(&self, place: &Place) -> Option<String> {
        let capabilities = place.backend.capabilities();
        let missing = self.needs.iter().find(|need| !capabilities.has(**need));
        missing.map(|need| format!("the backend has no {need}")).or_else(|| {
            (self.reopens && !place.durable).then(|| "its memories end with the handle".to_owned())
        })
    }
}

/// Lists functions as cases: `name`, or `name: Needed Capabilities`. `reopening;` in front marks
/// cases that open the same memories again.
macro_rules! cases {
    (reopening; $($list:tt)*) => { $crate::case::cases!(@ true; $($list)*) };
    (@ $reopens:literal; $($name:ident $(: $($need:ident)+)?),+ $(,)?) => {
        &[$($crate::case::Case {
            name: stringify!($name),
            needs: &[$($(cml::Capability::$need),+)?],
            reopens: $reopens,
            run: |ctx| Box::pin($name(ctx)),
        }),+]
    };
    ($($list:tt)*) => { $crate::case::cases!(@ false; $($list)*) };
}
pub(crate) use cases;
