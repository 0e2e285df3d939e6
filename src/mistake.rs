//! The table of request mistakes: what `egressd lint` can find before anything is sent.
//!
//! Identifiers are a contract (JSON values): rows are added, never renamed. It knows nothing of how a mistake
//! is found, which is `lint`'s, nor of what an API answers to it, which is its provider's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The API, or the client's own library, will refuse the request.
    Error,
    /// It may work, or work and surprise.
    Warning,
}

impl Level {
    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The mistake.
    pub mistake: Mistake,
    /// Its fixed name.
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What it is, in a clause.
    pub says: &'static str,
}

macro_rules! mistakes {
    ($($variant:ident $id:ident $level:ident $says:literal)+) => {
        /// A mistake of a request, or of what stands around it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Mistake { $(#[doc = $says] $variant),+ }

        /// The table, in the order in which findings are printed.
        pub const MISTAKES: &[Row] = &[$(Row {
            mistake: Mistake::$variant, id: stringify!($id), level: Level::$level, says: $says,
        }),+];

        impl Mistake {
            /// The row of this mistake.
            pub fn row(self) -> &'static Row {
                match self { $(Self::$variant => {
                    const ROW: &Row = &Row {
                        mistake: Mistake::$variant, id: stringify!($id), level: Level::$level, says: $says,
                    };
                    ROW
                }),+ }
            }
        }
    };
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().id)
    }
}

mistakes! {
// ---- url
UrlSchemeHttp url_scheme_http Error "http:// where the API speaks TLS"
UrlHostUnknown url_host_unknown Warning "host is not this provider's, and no gateway is declared"
UrlVersionMissing url_version_missing Error "the path lacks /v1"
UrlVersionDoubled url_version_doubled Error "/v1/v1"
UrlBaseOnly url_base_only Error "no endpoint behind the base URL: answered like a region block"
UrlTrailingSlash url_trailing_slash Error "a trailing slash: a redirect that clients do not follow with POST"
UrlPathOfOtherProvider url_path_of_other_provider Error "another provider's path"
UrlEndpointDeprecated url_endpoint_deprecated Warning "/v1/complete and kin"
UrlQueryMissing url_query_missing Error "a required query parameter (api-version) is missing"
MethodWrong method_wrong Error "this endpoint does not take the method"
// ---- key
KeyMissing key_missing Error "no key header"
KeyEmpty key_empty Error "an empty key; shown by clients as a connection error"
KeyControlCharacter key_control_character Error "a line break, CR or NUL in the key"
KeyNotAscii key_not_ascii Error "zero-width, BOM, curly quote or other non-ASCII in the key"
KeyWhiteSpace key_white_space Warning "leading or trailing space"
KeyQuoted key_quoted Error "quotes around the key"
KeyPlaceholder key_placeholder Error "a placeholder or an unexpanded variable"
KeyWrongHeader key_wrong_header Error "a key sent as Bearer, or a token sent as a key"
KeyBearerDoubled key_bearer_doubled Error "Bearer twice, or inside the key header"
KeyOfOtherProvider key_of_other_provider Error "the key's prefix is another provider's"
// ---- headers
HeaderDoubled header_doubled Error "the same header twice, whatever its case"
VersionHeaderMissing version_header_missing Error "no anthropic-version"
VersionHeaderUnknown version_header_unknown Error "a version that does not exist"
OriginHeader origin_header Error "an Origin header makes it a browser's request"
ContentTypeWrong content_type_wrong Error "a body that is not declared application/json"
IntegrationHeaderMissing integration_header_missing Error "Copilot's own headers are missing"
SignatureMixed signature_mixed Error "bearer token and session credentials mixed, or neither"
// ---- body
BodyNotJson body_not_json Error "not JSON: line, column, and the likely cause (single quotes, trailing comma, control character, comment, cut short)"
BodyFieldMissing body_field_missing Error "a required field is missing (max_tokens, messages, model)"
BodyFieldRange body_field_range Error "a number out of its range"
BodyFieldEmpty body_field_empty Error "messages or a text block is empty"
BodyFieldType body_field_type Error "a field has the wrong type"
BodyFieldUnknown body_field_unknown Error "a field that this API does not know, or a beta field without its header"
BodyFieldRemoved body_field_removed Error "a parameter that this version refuses"
BodyLegacyFields body_legacy_fields Error "prompt, max_tokens_to_sample"
BodyTooLarge body_too_large Error "larger than the API takes"
BodyMissing body_missing Error "a POST without a body"
ModelUnknown model_unknown Warning "a model that is not on the list known to this version"
ModelRetired model_retired Error "a model that has been retired"
// ---- environment
ProxyVariableInvalid proxy_variable_invalid Error "no scheme, unsupported scheme, or not a URL"
ProxyVariablesDisagree proxy_variables_disagree Warning "upper and lower case differ: clients choose differently"
NoProxyCatchesHost no_proxy_catches_host Warning "NO_PROXY sends this host around the proxy"
NoProxyMissesLocalhost no_proxy_misses_localhost Warning "a local base URL would go through the proxy"
BaseUrlElsewhere base_url_elsewhere Warning "a base-URL variable points away from the target"
CurlInsecure curl_insecure Warning "-k or --insecure hides what the check is for"
}
