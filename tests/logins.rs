//! Logins at proxies: how often one is tried, counted by the proxy; what a change of the secret does, and
//! what is said meanwhile.

use std::sync::Arc;

use egressd::daemon::inquiry::{Context, Memory, inquire};
use egressd::daemon::load;
use egressd::diagnosis::RouteVerdict;
use egressd::store::Report;

use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::program::run;
use crate::support::proxy::{Behaviour, Connect, Proxy};
use crate::support::tls::{Behaviour as Tls, TlsServer};

/// `svc:right`, as RFC 7617 has it.
const RIGHT: &str = "Basic c3ZjOnJpZ2h0";

/// Ten targets behind one proxy that wants a login.
struct World {
    ground: Ground,
    api: TlsServer,
    proxy: Proxy,
}

impl World {
    fn new(behaviour: Behaviour) -> Self {
        let ground = Ground::new();
        let api = ground.server(Tls::Serve(Http::AnthropicUnauthorized));
        let control = ground.control.address();
        let proxy = Proxy::start(behaviour, &[("localhost", control)]);
        Self { ground, api, proxy }
    }

    fn password(&self, password: &str) {
        self.ground.folder.write("password", password);
    }

    fn context(&self, targets: usize) -> Context {
        let folder = self.ground.folder.path().display().to_string();
        let mut text = format!(
            "{}[[route]]\nname = \"corp\"\nproxy = \"http://{}\"\nauth = {{ scheme = \"basic\", \
             username = \"svc\", password = {{ file = \"{folder}/password\" }} }}\n",
            self.ground
                .tables()
                .replace("timeout = \"1s\"", "timeout = \"20s\"")
                .replace("interval = \"1s\"", "interval = \"1m\"",),
            self.proxy.address(),
        );
        for target in 0..targets {
            text.push_str(&format!(
                "[[target]]\nname = \"t{target}\"\nurl = \"https://{}/v1/models?{target}\"\n\
                 routes = [\"corp\"]\n",
                self.api.address()
            ));
        }
        let file = self.ground.folder.write("egressd.toml", &text);
        let loaded = load::load(Some(&file)).unwrap_or_else(|fault| panic!("{fault}"));
        Context::new(Arc::new(loaded.plan)).expect("a sound plan")
    }

    /// The CONNECTs that carried a login.
    fn attempts(&self) -> Vec<Connect> {
        let all = self.proxy.connects();
        all.into_iter().filter(|connect| connect.header("proxy-authorization").is_some()).collect()
    }
}

/// Every target once, all at the same time.
fn round(runtime: &tokio::runtime::Runtime, context: &Context) -> Vec<RouteVerdict> {
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for target in &context.plan.targets {
            let target = Arc::new(target.clone());
            tasks.spawn(inquire(context.clone(), target, Memory::default()));
        }
        let reports: Vec<Report> = tasks.join_all().await;
        reports.into_iter().map(|mut report| report.findings.routes.remove(0)).collect()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn causes(verdicts: &[RouteVerdict]) -> Vec<String> {
    let cause = |verdict: &RouteVerdict| match &verdict.finding {
        Some(finding) => finding.cause.to_string(),
        None => "none".to_owned(),
    };
    let mut causes: Vec<String> = verdicts.iter().map(cause).collect();
    causes.dedup();
    causes
}

#[test]
fn fifty_checks_of_ten_targets_try_a_wrong_login_once() {
    let world = World::new(Behaviour::AuthRequired { accepts: Some(RIGHT.to_owned()) });
    world.password("wrong");
    let (runtime, context) = (runtime(), world.context(10));
    for _ in 0..5 {
        let verdicts = round(&runtime, &context);
        assert_eq!(verdicts.len(), 10);
        assert_eq!(causes(&verdicts), ["proxy_auth_rejected"]);
        for verdict in &verdicts {
            let finding = verdict.finding.as_ref().expect("a finding");
            assert!(finding.do_not.contains("sent again at 20"), "{}", finding.do_not);
        }
    }
    assert_eq!(world.attempts().len(), 1, "{:?}", world.attempts());
    assert!(world.proxy.connects().len() > 100, "repeats and controls asked without it");
    assert!(world.api.connections().is_empty());

    // A changed secret is another login.
    world.password("right");
    assert_eq!(causes(&round(&runtime, &context)), ["none"]);
    let right = world.attempts().split_off(1);
    assert!(right.iter().all(|connect| connect.header("proxy-authorization") == Some(RIGHT)));
}

#[test]
fn a_login_of_a_loaded_configuration_is_remembered() {
    let world = World::new(Behaviour::AuthRequired { accepts: None });
    world.password("wrong");
    let (runtime, old) = (runtime(), world.context(1));
    round(&runtime, &old);
    let new = world.context(2);
    new.controls.remember(&old.controls);
    assert_eq!(causes(&round(&runtime, &new)), ["proxy_auth_rejected"]);
    assert_eq!(world.attempts().len(), 1);
}

#[test]
fn a_login_that_is_answered_with_an_end_is_not_sent_for_ever() {
    let world = World::new(Behaviour::AuthThenClose);
    world.password("wrong");
    let (runtime, context) = (runtime(), world.context(10));
    for _ in 0..5 {
        round(&runtime, &context);
    }
    assert_eq!(world.attempts().len(), 3, "{:?}", world.attempts());
}

#[test]
fn a_proxys_password_is_in_no_output_though_its_page_repeats_it() {
    let world = World::new(Behaviour::AuthThenEcho("svc:planted-word".to_owned()));
    world.password("planted-word");
    world.context(1);
    let file = world.ground.folder.path().join("egressd.toml").display().to_string();
    let mut outputs = String::new();
    for format in ["text", "json", "nagios"] {
        let sent = world.attempts().len();
        let finished = run(&["check", "--config", &file, "--format", format]);
        assert!(world.attempts().len() > sent, "it is in use");
        outputs.push_str(&finished.stdout);
        outputs.push_str(&finished.stderr);
    }
    let plan = run(&["config", "check", &file, "--plan"]);
    outputs.push_str(&plan.stdout);
    assert!(outputs.contains("who are you") || outputs.contains("CONNECT answered 403"));
    for secret in ["planted", "c3ZjOnBsYW50ZWQtd29yZA"] {
        assert!(!outputs.contains(secret), "{secret} in {outputs}");
    }
}

#[test]
fn a_login_is_not_sent_where_nobody_asks_for_it() {
    let world = World::new(Behaviour::Tunnel);
    world.password("right");
    assert_eq!(causes(&round(&runtime(), &world.context(2))), ["none"]);
    assert_eq!(world.attempts().len(), 0);
}

#[test]
fn a_password_that_is_gone_is_named_and_nothing_is_sent() {
    let world = World::new(Behaviour::AuthRequired { accepts: Some(RIGHT.to_owned()) });
    assert_eq!(causes(&round(&runtime(), &world.context(2))), ["local_credential_unavailable"]);
    assert_eq!(world.attempts().len(), 0);
}

#[test]
fn a_weaker_scheme_than_the_configured_one_is_never_used() {
    let negotiate = ("Proxy-Authenticate", "Negotiate, NTLM".to_owned());
    let world =
        World::new(Behaviour::Status { code: 407, headers: vec![negotiate], body: String::new() });
    world.password("right");
    assert_eq!(causes(&round(&runtime(), &world.context(2))), ["proxy_auth_unsupported"]);
    assert_eq!(world.attempts().len(), 0);
}
