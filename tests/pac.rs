//! PAC scripts in the real child: what the helper functions say, what a script may cost, and what the
//! process that runs it can reach.

mod functions;
mod limits;

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use egressd::probe::pac::{Decision, Engine, Failure, Question, Script, ScriptFault};
use tokio::runtime::Runtime;

/// An engine with the real binary as its child, and names that it is told.
struct Ground {
    runtime: Runtime,
    engine: Engine,
    asked: RefCell<Vec<String>>,
}

impl Ground {
    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            engine: Engine::new(env!("CARGO_BIN_EXE_egressd").into()),
            asked: RefCell::default(),
        }
    }

    fn decide(&self, script: &str) -> Result<Decision, Failure> {
        self.ask(script, "https://api.example/v1/models")
    }

    fn ask(&self, script: &str, url: &str) -> Result<Decision, Failure> {
        let script = Script::decode(script.as_bytes()).unwrap();
        let mine = ["192.0.2.77", "2001:db8::77"].map(|address| address.parse().unwrap());
        let question = Question::new(&url.parse().unwrap(), mine.to_vec()).unwrap();
        self.runtime.block_on(self.engine.decide(&script, &question, |name| self.look_up(name)))
    }

    async fn look_up(&self, name: String) -> Vec<IpAddr> {
        let addresses: &[&str] = match name.as_str() {
            "api.example" => &["2001:db8::1", "192.0.2.1", "192.0.2.2"],
            "six.example" => &["2001:db8::6"],
            "ten.example" => &["10.1.2.3"],
            "silent.example" => std::future::pending().await,
            _ => &[],
        };
        self.asked.borrow_mut().push(name);
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    /// What is wrong with a script.
    fn fault(&self, script: &str) -> ScriptFault {
        match self.decide(script) {
            Err(Failure::Script(fault)) => fault,
            other => panic!("{other:?}\n{script}"),
        }
    }

    /// Shows that the engine works.
    #[track_caller]
    fn works(&self) {
        let decision = self.decide("function FindProxyForURL() { return 'PROXY ok:1' }").unwrap();
        assert_eq!(decision.text, "PROXY ok:1");
    }
}

/// A script whose function has this body.
fn body(body: &str) -> String {
    format!("function FindProxyForURL(url, host) {{\n{body}\n}}")
}

#[test]
fn a_script_is_asked_and_remembers() {
    let ground = Ground::new();
    let script =
        "var n = 0;\nfunction FindProxyForURL(url, host) { return [++n, url, host].join() }";
    let url = "https://user:secret@api.example:8443/v1?key=secret#x";
    let texts: Vec<String> = (0..3).map(|_| ground.ask(script, url).unwrap().text).collect();
    assert_eq!(texts, [1, 2, 3].map(|n| format!("{n},https://api.example:8443/,api.example")));
    let first = ground.engine.child_id().unwrap();
    // Another script is another world.
    ground.works();
    assert_eq!(ground.decide(script).unwrap().text, "1,https://api.example/,api.example");
    assert_eq!(ground.engine.child_id(), Some(first));
    assert!(ground.asked.borrow().is_empty());
}

#[test]
fn lookups_are_the_parents() {
    let ground = Ground::new();
    // The same name again is not asked again, however it is written.
    let decision = ground
        .decide(&body(
            "var n = 0;
             for (var i = 0; i < 100; i++) if (isInNet('Ten.example', '10.0.0.0', '255.0.0.0')) n++;
             return [n, dnsResolve(host), isResolvable('none.example'), dnsResolve('192.0.2.9')].join()",
        ))
        .unwrap();
    assert_eq!(decision.text, "100,192.0.2.1,false,192.0.2.9");
    let names: Vec<&str> = decision.lookups.iter().map(|asked| asked.name.as_str()).collect();
    assert_eq!(names, ["ten.example", "api.example", "none.example"]);
    assert_eq!(*ground.asked.borrow(), names);
    let counts: Vec<usize> = decision.lookups.iter().map(|asked| asked.addresses.len()).collect();
    assert_eq!(counts, [1, 3, 0]);
    // What cannot be a name is nobody's question.
    let decision = ground
        .decide(&body("return [dnsResolve(''), dnsResolve('a b'), dnsResolve('\\u00e4'), dnsResolve('x'.repeat(254))].join()"))
        .unwrap();
    assert_eq!((decision.text.as_str(), decision.lookups.len()), (",,,", 0));
}

#[test]
fn a_lookup_without_an_answer_has_an_end() {
    let ground = Ground::new();
    let begun = Instant::now();
    let decision =
        ground.decide(&body("return dnsResolve('silent.example') + ' ' + dnsResolve(host)"));
    let decision = decision.unwrap();
    assert_eq!(decision.text, "null 192.0.2.1");
    // Its time is not the script's.
    assert!(decision.lookups[0].seconds > 1.0 && decision.seconds > decision.lookups[0].seconds);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_decision_that_is_given_up_spoils_no_other() {
    let ground = Ground::new();
    ground.works();
    let before = ground.engine.child_id();
    let script = Script::decode(body("return dnsResolve('silent.example')").as_bytes()).unwrap();
    let question = Question::new(&"https://a.example".parse().unwrap(), Vec::new()).unwrap();
    let given_up = ground.runtime.block_on(async {
        let decision = ground.engine.decide(&script, &question, |name| ground.look_up(name));
        tokio::time::timeout(Duration::from_millis(300), decision).await
    });
    assert!(given_up.is_err());
    ground.works();
    assert_ne!(ground.engine.child_id(), before);
}

#[test]
fn decisions_take_turns() {
    let ground = Ground::new();
    let ask = async |number: usize| {
        let script = body(&format!("return '{number} ' + dnsResolve(host)"));
        let script = Script::decode(script.as_bytes()).unwrap();
        let question = Question::new(&"https://api.example".parse().unwrap(), Vec::new()).unwrap();
        let names = |name| async {
            tokio::task::yield_now().await;
            ground.look_up(name).await
        };
        ground.engine.decide(&script, &question, names).await.unwrap().text
    };
    let texts = ground.runtime.block_on(async {
        let (ask, mut texts) = (&ask, Vec::new());
        for round in 0..10 {
            let (a, b, c) = tokio::join!(ask(round), ask(round % 2), ask(7));
            texts.extend([(round, a), (round % 2, b), (7, c)]);
        }
        texts
    });
    for (number, text) in texts {
        assert_eq!(text, format!("{number} 192.0.2.1"));
    }
}

#[test]
fn a_script_may_be_large() {
    let ground = Ground::new();
    let small = body("return 'x'");
    // On the pipe each of these characters takes six.
    let comment = format!("{small}//{}", "\u{1}".repeat(1024 * 1024 - small.len() - 2));
    assert_eq!(ground.decide(&comment).unwrap().text, "x");
    let mut rules = String::from("function FindProxyForURL(url, host) {\n");
    while rules.len() < 500_000 {
        rules.push_str("if (dnsDomainIs(host, '.some.where.example')) return 'DIRECT';\n");
    }
    rules.push_str("return 'PROXY last:1' }");
    assert_eq!(ground.decide(&rules).unwrap().text, "PROXY last:1");
}

#[test]
fn what_is_wrong_with_a_script_is_told() {
    let ground = Ground::new();
    let threw = |line: u32, detail: &str| ScriptFault::Threw {
        line: Some(line),
        detail: detail.to_owned(),
    };
    let no_text = |what: &str| ScriptFault::NotAString { what: what.to_owned() };
    let rows = [
        (String::new(), ScriptFault::NoFunction),
        ("var FindProxyForURL = 1".to_owned(), ScriptFault::NoFunction),
        // Neither a function of Microsoft's nor a constant is the global object's function.
        ("function FindProxyForURLEx() { return 'DIRECT' }".to_owned(), ScriptFault::NoFunction),
        ("const FindProxyForURL = () => 'DIRECT'".to_owned(), ScriptFault::NoFunction),
        ("<!DOCTYPE html>".to_owned(), parse(1, 1, "unexpected token")),
        ("var a = 1;\nvar b = ;".to_owned(), parse(2, 9, "unexpected token")),
        ("var a;\n  \0".to_owned(), parse(2, 3, "a NUL character")),
        ("\n\nfoo();".to_owned(), threw(3, "ReferenceError: foo is not defined")),
        (body("return bar"), threw(2, "ReferenceError: bar is not defined")),
        (body("throw new Error('my own')"), threw(2, "Error: my own")),
        (body("var a;\n\nreturn dnsDomainIs(host)"), threw(4, "TypeError")),
        (body("throw 'text'"), ScriptFault::Threw { line: None, detail: "text".to_owned() }),
        (
            body("throw { toString() { throw 1 } }"),
            ScriptFault::Threw { line: None, detail: "object without a text".to_owned() },
        ),
        (body("eval('1 +')"), threw(2, "SyntaxError")),
        (
            body("throw 'x'.repeat(1000)"),
            ScriptFault::Threw { line: None, detail: "x".repeat(256) },
        ),
        (body("return null"), no_text("null")),
        (body(""), no_text("undefined")),
        (body("return 5"), no_text("int")),
        (body("return { proxy: 'a' }"), no_text("object")),
        (body("return new String('DIRECT')"), no_text("object")),
        (body("return '\\ud800'"), no_text("broken text")),
    ];
    for (script, expected) in rows {
        let fault = ground.fault(&script);
        assert!(is_like(&fault, &expected), "{fault:?}, not {expected:?}\n{script}");
    }
    ground.works();
}

fn parse(line: u32, column: u32, detail: &str) -> ScriptFault {
    ScriptFault::Parse { line, column, detail: detail.to_owned() }
}

/// Whether two faults agree; of the engine's own words only the begin is compared.
fn is_like(fault: &ScriptFault, expected: &ScriptFault) -> bool {
    match (fault, expected) {
        (
            ScriptFault::Parse { line, column, detail },
            ScriptFault::Parse { line: l, column: c, detail: begin },
        ) => (line, column) == (l, c) && detail.starts_with(begin),
        (
            ScriptFault::Threw { line, detail },
            ScriptFault::Threw { line: expected, detail: begin },
        ) => line == expected && detail.starts_with(begin),
        (fault, expected) => fault == expected,
    }
}

#[test]
fn a_program_that_is_none_is_told() {
    let ground = Ground { engine: Engine::new("/nonexistent/egressd".into()), ..Ground::new() };
    assert!(matches!(ground.decide(&body("return ''")), Err(Failure::Child(_))));
    // One that ends at once, and one that says something else.
    for program in ["/bin/true", "/bin/echo"] {
        let ground = Ground { engine: Engine::new(program.into()), ..Ground::new() };
        let outcome = ground.decide(&body("return ''"));
        assert!(matches!(outcome, Err(Failure::Child(_))), "{program}: {outcome:?}");
        assert_eq!(ground.engine.child_id(), None);
    }
}
