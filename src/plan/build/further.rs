//! What a target is tested for beyond its minimal request: whether its API has such a request, and where.

use std::time::Duration;

use toml::Spanned;

use super::super::Endpoint;
use super::Build;
use crate::config::{self, Config, Hold};
use crate::observation::{Control, Further};
use crate::provider::{Post, Provider};

/// More in one request is a test of something else.
const LARGEST: u32 = 1024 * 1024;
/// The silences that may be tried.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(3600);

impl Build<'_> {
    pub(super) fn further(
        &mut self,
        target: &config::Target,
        api: Option<(Provider, &Endpoint)>,
        config: &Config,
    ) -> Further {
        // What is wrong with these is said where they stand.
        let quiet = self.problems.len();
        let allowed = &self.allowed(&config.experiments.allow);
        self.problems.truncate(quiet);
        let stream = target.stream.as_ref().filter(|stream| *stream.get_ref());
        let body = target.body_bytes.as_ref().filter(|bytes| *bytes.get_ref() > 0);
        if let Some(bytes) = body {
            if *bytes.get_ref() > LARGEST {
                let help = "write at most 1048576: what is filtered, is so from a few thousand on";
                self.fault(bytes.span(), "a body of more than 1 MiB", help);
            }
            self.has_place(bytes, "body_bytes", api, |provider| provider.facts().counting);
        }
        if let Some(stream) = stream {
            self.has_place(stream, "stream", api, |provider| provider.facts().streaming);
            match (&target.key, api) {
                (None, _) => self.fault(
                    stream.span(),
                    "without a key the API streams nothing",
                    "add key = { file = \"…\" }, or leave stream out",
                ),
                (Some(_), Some((Provider::Generic, _)) | None) => {}
                (Some(_), Some(_)) => self.warn(
                    stream.span(),
                    "stream costs a few tokens, over each route every `experiments.again`",
                    "leave it out where they are too dear; nothing else depends on it",
                ),
            }
        }
        self.is_allowed(body, "body_bytes", (Control::LargerBody, allowed));
        self.is_allowed(stream, "stream", (Control::Stream, allowed));
        let held = target.idle_hold.as_ref().filter(|hold| !hold.get_ref().get().is_zero());
        self.is_allowed(held, "idle_hold", (Control::IdleHold, allowed));
        let idle_hold = target.idle_hold.as_ref().map_or(0, |hold| self.hold(hold));
        Further {
            idle_hold,
            stream: stream.is_some(),
            body_bytes: body.map_or(0, |bytes| *bytes.get_ref()),
        }
    }

    /// What is left out of the experiments is never run, whoever asks for it.
    fn is_allowed<T>(
        &mut self,
        option: Option<&Spanned<T>>,
        name: &str,
        (control, allowed): (Control, &[Control]),
    ) {
        let Some(option) = option.filter(|_| !allowed.contains(&control)) else { return };
        let what = format!("{name} is never tested: `experiments.allow` leaves it out");
        let help = format!("add \"{}\" there, or leave {name} out", control.label());
        self.warn(option.span(), what, help);
    }

    /// Whole seconds.
    fn hold(&mut self, hold: &Spanned<Hold>) -> u32 {
        let length = hold.get_ref().get();
        if length > LONGEST {
            let help = "write at most 1h: clients do not keep a connection for longer";
            self.fault(hold.span(), "a silence of more than an hour", help);
        }
        if !length.is_zero() && length < SHORTEST {
            let help = "write at least 2s, or 0s for none: eight silences are spread up to it";
            self.fault(hold.span(), "a silence in which nothing is cut", help);
        }
        u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
    }

    /// That the API has such a request, and that the URL says where.
    fn has_place<T>(
        &mut self,
        option: &Spanned<T>,
        name: &str,
        api: Option<(Provider, &Endpoint)>,
        post: impl Fn(Provider) -> Option<Post>,
    ) {
        let Some((provider, endpoint)) = api else { return };
        let Some(post) = post(provider) else {
            let what = format!("no request for {name} is known of {provider}");
            let help = format!("name the provider whose API this is, or leave {name} out");
            return self.fault(option.span(), what, help);
        };
        if endpoint.path_of(provider, &post).is_none() {
            let what = format!("where {} is, this target's url does not say", post.path);
            let usual = provider.facts().url.unwrap_or_default();
            let help = format!("end the url as {usual} ends, or leave {name} out");
            self.fault(option.span(), what, help);
        }
    }
}
