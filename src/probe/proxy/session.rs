//! One trip's dealings with a proxy, over as many connections as its login needs: what is asked for,
//! what was shown, what became of that.

use std::time::Duration;

use tokio::time::Instant;
use url::Host;

use super::challenge::Challenge;
use super::gate::{Gate, Permit, Turn};
use super::login::{self, Header, Next, Place, Step};
use crate::observation::{Login, ProxyFailure, Rejected, Scheme, Ticket, TicketKind};
use crate::plan::{Credential, Proxy, Tunnel};

/// Challenges that are named in evidence at most.
const OFFERS: usize = 8;

/// The dealings.
pub(in crate::probe) struct Session<'a> {
    tunnel: &'a Tunnel,
    gate: &'a Gate,
    step: Step,
    /// The value of the next request's `Proxy-Authorization`.
    header: Option<Header>,
    /// The hash of the proxy's certificate (RFC 5929 4).
    certificate: Option<Vec<u8>>,
    /// Whether the proxy's handshake asked for a certificate of ours.
    asked: bool,
    login: Login,
    offers: Vec<String>,
    permit: Option<Permit>,
    begun: Option<Instant>,
    /// Time that went into waiting for other trips.
    waited: Duration,
}

/// What a challenge is answered with.
pub(super) enum Answer {
    /// The same request with a login.
    Again,
    /// Nothing (any more).
    Nothing,
    /// Nothing in time: the login of other trips is not answered.
    Busy,
    /// It is no sound challenge: what is wrong with it.
    Flawed(String),
}

/// What waiting for a turn came to.
enum Waited {
    Go,
    Not,
    Busy,
}

impl<'a> Session<'a> {
    pub(in crate::probe) fn new(tunnel: &'a Tunnel, gate: &'a Gate) -> Self {
        let login = match &tunnel.credential {
            None => Login::None,
            Some(Ok(_)) => Login::NotAsked,
            Some(Err(why)) => Login::Unreadable(why.clone()),
        };
        Self {
            tunnel,
            gate,
            step: Step::Unasked,
            header: None,
            certificate: None,
            asked: false,
            login,
            offers: Vec::new(),
            permit: None,
            begun: None,
            waited: Duration::ZERO,
        }
    }

    pub(in crate::probe) fn proxy(&self) -> &'a Proxy {
        &self.tunnel.proxy
    }

    pub(super) fn authority(&self) -> String {
        self.tunnel.authority()
    }

    pub(super) fn destination(&self) -> (&'a Host<String>, u16) {
        (&self.tunnel.host, self.tunnel.port)
    }

    /// The proxy showed a certificate with this hash, and asked for one of ours or not.
    pub(in crate::probe) fn saw(&mut self, certificate: Option<Vec<u8>>, asked: bool) {
        self.certificate = certificate;
        self.asked = asked;
    }

    /// Whether it asked for a certificate.
    pub(super) fn was_asked(&self) -> bool {
        self.asked
    }

    pub(super) fn begin(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// Time since the first request, without that for other trips.
    pub(super) fn took(&self) -> Duration {
        let whole = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        whole.saturating_sub(self.waited)
    }

    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    /// A failure, with what became of the login until then.
    pub(in crate::probe) fn told(&self, failure: ProxyFailure) -> ProxyFailure {
        ProxyFailure {
            offers: self.offers.clone(),
            login: self.login.clone(),
            waited_ms: u64::try_from(self.took().as_millis()).unwrap_or(u64::MAX),
            ..failure
        }
    }

    /// The value of the `Proxy-Authorization` that is to be sent now, if there is one: it is shown herewith.
    pub(super) fn show(&mut self) -> Option<&Header> {
        // NTLM's first message proves nothing yet, and nothing of it can be wrong.
        let proves = self.header.is_some() && !self.step.is_opening();
        if let Some(permit) = self.permit.as_mut().filter(|_| proves) {
            permit.shown();
        }
        self.header.as_ref()
    }

    /// What was read, as far as it does not repeat the login: some pages of proxies show the request.
    pub(super) fn before_login<'b>(&self, read: &'b [u8]) -> &'b [u8] {
        let shown = self.header.as_ref().and_then(|header| header.split_once(' '));
        let Some((_, login)) = shown.filter(|(_, login)| !login.is_empty()) else { return read };
        let before = |read: &'b [u8], secret: &str| {
            let repeated = read.windows(secret.len()).position(|part| part == secret.as_bytes());
            read.get(..repeated.unwrap_or(read.len())).unwrap_or(read)
        };
        let read = before(read, login);
        match &self.tunnel.credential {
            // A word of fewer letters is in every page.
            Some(Ok(Credential::Password { password, .. })) if password.expose().len() >= 4 => {
                before(read, password.expose())
            }
            _ => read,
        }
    }

    /// The same of a text.
    pub(super) fn text_before_login(&self, text: &str) -> String {
        String::from_utf8_lossy(self.before_login(text.as_bytes())).into_owned()
    }

    /// Whether the login is half-way, in a way that is bound to its connection.
    pub(super) fn is_bound(&self) -> bool {
        self.step.is_bound()
    }

    /// Whether a login was sent, or its first part.
    pub(super) fn has_shown(&self) -> bool {
        matches!(self.login, Login::Sent(_))
    }

    /// The proxy took the login, or wanted none.
    pub(super) fn let_through(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.accepted();
        }
    }

    /// The proxy did not take it.
    pub(super) fn turned_away(&mut self) {
        if let (Some(permit), Login::Sent(scheme)) = (self.permit.take(), &self.login) {
            let (scheme, until) = (*scheme, permit.rejected(None));
            self.login = Login::Rejected(Rejected { scheme, until });
        }
    }

    /// The proxy answered something else than that it wants a login. Who fails may not have looked at it.
    pub(super) fn answered(&mut self, status: u16) {
        if (500..=599).contains(&status) {
            if let Some(permit) = self.permit.take() {
                permit.unjudged();
            }
        } else {
            self.let_through();
        }
    }

    /// The login was shown, if it was, and nobody says what became of that.
    pub(super) fn in_vain(&mut self) {
        let until = self.permit.as_mut().and_then(Permit::in_vain);
        if let (Some(until), Login::Sent(scheme)) = (until, &self.login) {
            self.login = Login::Rejected(Rejected { scheme: *scheme, until });
        }
    }

    /// What a 407 is answered with.
    pub(super) async fn answer(&mut self, challenges: &[Challenge], deadline: Instant) -> Answer {
        // A second answer may ask for nothing any more: what was asked for stays.
        if !challenges.is_empty() {
            self.offers = offered(challenges);
        }
        let Some(Ok(credential)) = &self.tunnel.credential else { return Answer::Nothing };
        let scheme = credential.scheme();
        let unasked = matches!(self.step, Step::Unasked);
        if !challenges.iter().any(|challenge| challenge.scheme == Some(scheme)) {
            // A 407 without any challenge is a refusal in other words.
            if unasked && !challenges.is_empty() {
                self.login = Login::NotOffered(scheme);
            }
            // Of a login that only began nothing was shown that could be wrong.
            if self.step.is_opening() {
                return Answer::Flawed("it does not go on with what it asked for".to_owned());
            }
            self.turned_away();
            return Answer::Nothing;
        }
        if unasked {
            match self.wait_for_turn(credential, deadline).await {
                Waited::Go => {}
                Waited::Not => return Answer::Nothing,
                Waited::Busy => return Answer::Busy,
            }
        }
        let authority = self.tunnel.authority();
        // Tickets are for names; an address is written as one.
        let host = self.proxy().host.to_string();
        let place = Place {
            host: &host,
            authority: &authority,
            certificate: self.certificate.as_deref(),
            deadline,
        };
        let step = std::mem::replace(&mut self.step, Step::Shown);
        match login::next(step, credential, challenges, &place).await {
            Next::Show(header, step) => {
                self.login = Login::Sent(scheme);
                (self.header, self.step) = (Some(header), step);
                return Answer::Again;
            }
            Next::Rejected => self.turned_away(),
            Next::Unusable => self.login = Login::NotOffered(scheme),
            Next::NoTicket(ticket) => self.without_ticket(ticket),
            Next::Flawed(why) => return Answer::Flawed(why),
        }
        Answer::Nothing
    }

    /// What the KDC refuses is not asked of it again either: it counts, too.
    fn without_ticket(&mut self, mut ticket: Ticket) {
        let refused = matches!(ticket.kind, TicketKind::WrongKey | TicketKind::Revoked);
        if let Some(permit) = self.permit.take().filter(|_| refused) {
            ticket.until = Some(permit.rejected(Some(ticket.clone())));
        }
        self.login = Login::NoTicket(ticket);
    }

    /// Whether the login may be sent now.
    async fn wait_for_turn(&mut self, credential: &Credential, deadline: Instant) -> Waited {
        let asked = Instant::now();
        let destination = self.tunnel.authority();
        let turn = self.gate.turn(self.proxy(), credential, &destination, deadline).await;
        self.waited += asked.elapsed();
        match turn {
            Turn::Go(permit) => {
                self.permit = Some(permit);
                Waited::Go
            }
            Turn::Not(withheld) => {
                self.login = Login::Withheld(withheld);
                Waited::Not
            }
            Turn::Busy => Waited::Busy,
        }
    }

    /// The name and the password for SOCKS: of a login by Basic alone, since both travel as they are, and of
    /// a length that its messages can hold (RFC 1929 2).
    fn for_socks(&self) -> Option<(&'a Credential, &'a str, &'a str)> {
        match &self.tunnel.credential {
            Some(Ok(
                credential @ Credential::Password { scheme: Scheme::Basic, name, password, .. },
            )) => {
                let fits = |text: &str| (1..=usize::from(u8::MAX)).contains(&text.len());
                let password = password.expose();
                (fits(name) && fits(password)).then_some((credential, name.as_str(), password))
            }
            Some(Ok(_) | Err(_)) | None => None,
        }
    }

    /// Whether there is a login for SOCKS.
    pub(super) fn has_password(&self) -> bool {
        self.for_socks().is_some()
    }

    /// The proxy takes none of the ways that were offered to it.
    pub(super) fn not_offered(&mut self) {
        self.login = Login::NotOffered(Scheme::Basic);
    }

    /// The proxy wants name and password, which a login by another scheme is not.
    pub(super) fn asked_for_password(&mut self) {
        self.offers = vec![Scheme::Basic.label().to_owned()];
        if let (Some(Ok(credential)), false) = (&self.tunnel.credential, self.has_password()) {
            self.login = Login::NotOffered(credential.scheme());
        }
    }

    /// Name and password for SOCKS, which are shown herewith; none where they may not be now, and why.
    pub(super) async fn password(
        &mut self,
        deadline: Instant,
    ) -> Result<(&'a str, &'a str), Answer> {
        let Some((credential, name, password)) = self.for_socks() else {
            return Err(Answer::Nothing);
        };
        match self.wait_for_turn(credential, deadline).await {
            Waited::Go => {}
            Waited::Not => return Err(Answer::Nothing),
            Waited::Busy => return Err(Answer::Busy),
        }
        self.login = Login::Sent(Scheme::Basic);
        if let Some(permit) = &mut self.permit {
            permit.shown();
        }
        Ok((name, password))
    }
}

/// The schemes of a 407 by their names, each once; what is not known here stays without one.
fn offered(challenges: &[Challenge]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for challenge in challenges {
        let name = challenge.scheme.map_or("other", Scheme::label);
        if names.len() < OFFERS && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
