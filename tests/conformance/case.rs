//! A case, and lists of them.

use cml::Capability;
use futures_util::future::BoxFuture;
use libtest_mimic::Failed;

use crate::{backends::Place, ctx::Ctx};

/// The result of a case and of its helpers.
pub(crate) type CaseResult<T = ()> = Result<T, Failed>;

/// What a case needs of its place beside the backend; each includes the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// The backend alone.
    Nothing,
    /// Another empty backend of the kind.
    Another,
    /// The same memories opened again.
    Reopening,
}

/// A sentence of the contract as a test.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) capabilities: &'static [Capability],
    pub(crate) needs: Needs,
    pub(crate) run: for<'a> fn(&'a Ctx) -> BoxFuture<'a, CaseResult>,
}

impl Case {
    /// Why `place` cannot run it, if it cannot.
    pub(crate) fn skip_reason(&self, place: &Place) -> Option<String> {
        let capabilities = place.backend.capabilities();
        let missing = self.capabilities.iter().find(|need| !capabilities.has(**need));
        missing.map(|need| format!("the backend has no {need}")).or_else(|| {
            (self.needs > place.offers).then(|| match self.needs {
                Needs::Reopening => "its memories end with the handle".to_owned(),
                _ => "there is only this one".to_owned(),
            })
        })
    }
}

/// Lists functions as cases: `name`, or `name: Needed Capabilities`. `another;` or `reopening;` in front
/// marks cases that need more of their place.
macro_rules! cases {
    (another; $($list:tt)*) => { $crate::case::cases!(@ Another; $($list)*) };
    (reopening; $($list:tt)*) => { $crate::case::cases!(@ Reopening; $($list)*) };
    (@ $needs:ident; $($name:ident $(: $($need:ident)+)?),+ $(,)?) => {
        &[$($crate::case::Case {
            name: stringify!($name),
            capabilities: &[$($(cml::Capability::$need),+)?],
            needs: $crate::case::Needs::$needs,
            run: |ctx| Box::pin($name(ctx)),
        }),+]
    };
    ($($list:tt)*) => { $crate::case::cases!(@ Nothing; $($list)*) };
}
pub(crate) use cases;
