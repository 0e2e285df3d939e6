//! Enums whose documentation is printed: what stands above a value in the source is what `egressd explain`
//! and VERDICTS.md say of it. It knows nothing of what it documents.

/// Declares an enum as it is written, and a function that returns what stands above each of its values.
macro_rules! documented {
    (
        $(#[$outer:meta])* $public:vis enum $name:ident {
            $($(#[doc = $text:literal])+ $value:ident,)+
        }
    ) => {
        $(#[$outer])*
        $public enum $name { $($(#[doc = $text])+ $value,)+ }

        impl $name {
            /// What it is, for people.
            pub fn about(self) -> &'static str {
                match self { $(Self::$value => concat!($($text),+).trim()),+ }
            }
        }
    };
}
