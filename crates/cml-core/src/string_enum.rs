/// Defines a fieldless enum whose variants have a fixed name in JSON, SQL and on the command line.
///
/// Gives `ALL`, `as_str`, `Display`, `FromStr` (`InvalidInput` that names the field and lists what
/// is allowed), `Serialize` and `Deserialize`.
#[macro_export]
#[doc(hidden)]
macro_rules! string_enum {
    (
        $(#[$doc:meta])*
        $vis:vis enum $name:ident($field:literal) {
            $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        $vis enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in JSON, SQL and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::Error::invalid(
                        $field,
                        concat!("must be one of", $(" ", $text),+),
                    )),
                }
            }
        }

        $crate::string_enum_schema!($name, $($text),+);

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}

/// The JSON schema of a [`string_enum!`]; nothing without the feature `schema`.
#[cfg(feature = "schema")]
#[macro_export]
#[doc(hidden)]
macro_rules! string_enum_schema {
    ($name:ident, $($text:literal),+) => {
        impl $crate::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut $crate::schemars::SchemaGenerator) -> $crate::schemars::Schema {
                $crate::schemars::json_schema!({ "type": "string", "enum": [$($text),+] })
            }
        }
    };
}

/// The JSON schema of a [`string_enum!`]; nothing without the feature `schema`.
#[cfg(not(feature = "schema"))]
#[macro_export]
#[doc(hidden)]
macro_rules! string_enum_schema {
    ($($tokens:tt)*) => {};
}
