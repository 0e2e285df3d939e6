//! What `{:?}` and `{:#?}` show of everything that holds a secret: where it is read, kept, planned and sent.

use std::fmt::Debug;
use std::sync::Arc;

use egressd::config::{self, Secret};
use egressd::daemon::inquiry::Context;
use egressd::daemon::{Setup, keys, load};
use egressd::lint::curl;
use egressd::observation::Scheme;
use egressd::plan::{Account, Credential, Identity, Known, Proof, ProxyVariables};

use super::{ANTHROPIC, BASIC, DIGEST, GIVEN, none_leaks};
use crate::support::ground::{Ground, target};
use crate::support::http::Behaviour as Http;
use crate::support::tls::Behaviour as Tls;

fn shown(what: &str, of: &dyn Debug) {
    let printed = format!("{of:?}\n{of:#?}");
    assert!(printed.len() > 2, "{what}");
    none_leaks(what, &printed);
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn nothing_that_holds_one_prints_it() {
    let ground = Ground::new();
    let api = ground.server(Tls::Serve(Http::AnthropicUnauthorized));
    let key = ground.folder.write("key", ANTHROPIC);
    let password = ground.folder.write("password", BASIC);
    let key = format!("provider = \"anthropic\"\nkey = {{ file = \"{}\" }}", key.display());
    let file = ground.config(&format!(
        "[[route]]\nname = \"corp\"\nproxy = \"http://127.0.0.1:9\"\nauth = {{ scheme = \"basic\", \
         username = \"svc\", password = {{ file = \"{}\" }} }}\n{}",
        password.display(),
        target("api", &api, &key)
    ));
    let text = std::fs::read_to_string(&file).expect("it was written");
    shown("a configuration", &config::parse(&text));
    let loaded = load::load(Some(file.as_ref())).unwrap_or_else(|fault| panic!("{fault}"));
    shown("what was loaded", &loaded);
    shown("secrets that are known", &keys::known(&loaded.plan));
    let (state, read) = keys::read(loaded.plan.targets[0].key.as_ref());
    assert_eq!(read.as_ref().map(Secret::expose), Some(ANTHROPIC), "it is in use");
    shown("a key", &(state, &read));
    let known = Known::default();
    known.learn(vec![secret(GIVEN)]);
    shown("what no peer may bring back", &known);

    let target = &loaded.plan.targets[0];
    for used in &target.routes {
        let mut trip = loaded.plan.trip(target, &used.route, read.as_ref());
        keys::equip(&mut trip);
        shown("a trip", &trip);
    }
    let context = Context::new(Arc::new(loaded.plan.clone())).expect("a sound plan");
    shown("a context", &context);
    shown("a setup", &Setup::new(loaded.plan, None, None).expect("a sound plan"));
}

#[test]
fn no_part_of_a_login_is_printed() {
    let (scheme, name) = (Scheme::Digest, "svc".to_owned());
    let password =
        Credential::Password { scheme, name: name.clone(), domain: None, password: secret(DIGEST) };
    shown("a login", &password);
    shown(
        "an account",
        &Account { scheme, name, domain: None, proof: Proof::Given(secret(GIVEN)) },
    );
    shown("an identity", &Identity { certificates: Vec::new(), key: Ok(secret(GIVEN)) });
    let line = format!("curl https://u:{GIVEN}@h.example/ -H 'x-api-key: {ANTHROPIC}' -d {DIGEST}");
    shown("a pasted line", &curl::read(&line, &|_| None));
    let modules = format!(
        "modules:\n  m:\n    prober: http\n    http:\n      basic_auth: {{ username: u, password: {BASIC} }}\n      \
         headers: {{ X-Api-Key: {ANTHROPIC} }}\n      proxy_url: http://u:{GIVEN}@p.example:1\n"
    );
    let (modules, problems) = egressd::blackbox::read(&modules, &|_| Err("none".to_owned()));
    assert!(!modules.modules.is_empty(), "{problems:?}");
    shown("modules of /probe", &modules);
    let url = format!("http://svc:{GIVEN}@127.0.0.1:9");
    shown("variables", &ProxyVariables::new([("https_proxy".to_owned(), url)]));
}
