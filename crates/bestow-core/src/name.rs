//! Enums whose variants have one stable name each, in the API, in tables and in documents.

/// A text that is none of the names an enum has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {noun}; it must be one of: {names}")]
pub struct UnknownName {
    /// What the name should have named, in words.
    pub noun: &'static str,
    /// What was found instead.
    pub found: String,
    /// The names that exist, separated by commas.
    pub names: String,
}

/// Declares an enum without data together with its names: `ALL`, `as_str`, `parse` and `Display`.
///
/// Said once, so that a variant cannot be written under one name and read under another.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $noun:literal $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name: a promise to users, scripts and stored rows.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Reads a stable name, exactly as [`Self::as_str`] writes it.
            pub fn parse(text: &str) -> Result<Self, $crate::name::UnknownName> {
                Self::ALL.iter().copied().find(|each| each.as_str() == text).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|each| each.as_str()).collect();
                    $crate::name::UnknownName {
                        noun: $noun,
                        found: text.chars().take(64).collect(),
                        names: names.join(", "),
                    }
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use named_enum;
