//! The helper functions, each with what it is to say: written by hand, after Chromium's.

use super::{Ground, body};

/// Thursday, 29 February 2024, 13:30:15, in the host's zone and in GMT.
const PRESENT: &str =
    "var Real = Date; Date = function () { return new Real(2024, 1, 29, 13, 30, 15) };";
const UNIVERSAL: &str =
    "var Real = Date; Date = function () { return new Real(Real.UTC(2024, 1, 29, 13, 30, 15)) };";

#[track_caller]
fn hold(before: &str, rows: &[(&str, &str)]) {
    let ground = Ground::new();
    let mut wrong = Vec::new();
    for (call, expected) in rows {
        let script = format!("{before}\n{}", body(&format!("return String({call})")));
        match ground.decide(&script) {
            Ok(decision) if decision.text == *expected => {}
            other => wrong.push(format!("{call}: {expected}, not {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names() {
    hold(
        "",
        &[
            ("isPlainHostName('intranet')", "true"),
            ("isPlainHostName('a.example')", "false"),
            ("isPlainHostName('192.0.2.1')", "false"),
            ("isPlainHostName('2001:db8::1')", "false"),
            ("isPlainHostName('')", "true"),
            ("dnsDomainIs('a.example', '.example')", "true"),
            ("dnsDomainIs('a.example', 'example')", "true"),
            ("dnsDomainIs('a.example', 'a.example')", "true"),
            ("dnsDomainIs('a.example', 'b.a.example')", "false"),
            ("dnsDomainIs('A.EXAMPLE', '.example')", "false"),
            ("dnsDomainIs('a.example.org', '.example')", "false"),
            ("dnsDomainIs('a.example', '')", "true"),
            ("localHostOrDomainIs('www.a.example', 'www.a.example')", "true"),
            ("localHostOrDomainIs('www', 'www.a.example')", "true"),
            ("localHostOrDomainIs('ww', 'www.a.example')", "false"),
            ("localHostOrDomainIs('home.a.example', 'www.a.example')", "false"),
            ("dnsDomainLevels('intranet')", "0"),
            ("dnsDomainLevels('www.a.example')", "2"),
            ("dnsDomainLevels('192.0.2.1')", "3"),
            ("alert('said to nobody')", "undefined"),
            ("getClientVersion()", "1.0"),
            (
                "typeof FindProxyForURLEx + typeof wdays + typeof require + typeof std",
                &"undefined".repeat(4),
            ),
        ],
    );
}

#[test]
fn patterns() {
    hold(
        "",
        &[
            ("shExpMatch('http://home.example/people/a/index.html', '*/a/*')", "true"),
            ("shExpMatch('http://home.example/people/b/index.html', '*/a/*')", "false"),
            ("shExpMatch('a.example', '*.example')", "true"),
            ("shExpMatch('aXexample', '*.example')", "false"),
            ("shExpMatch('a.example', 'example')", "false"),
            ("shExpMatch('a.example', 'A.*')", "false"),
            ("shExpMatch('abc', 'a?c')", "true"),
            ("shExpMatch('ac', 'a?c')", "false"),
            ("shExpMatch('', '*')", "true"),
            ("shExpMatch('', '')", "true"),
            ("shExpMatch('b\\u00fcro', 'b?ro')", "true"),
            // More than stars is a regular expression.
            ("shExpMatch('a.example', '(a|b).example')", "true"),
            ("shExpMatch('aXexample', '(a|b).example')", "false"),
            ("shExpMatch('host7', 'host[0-9]')", "true"),
            ("shExpMatch('hostx', 'host[0-9]')", "false"),
            ("shExpMatch(5, '5')", "true"),
            (
                "(function () { try { shExpMatch('a', /a/) } catch (e) { return e.name } })()",
                "TypeError",
            ),
            (
                "(function () { try { shExpMatch('a', '(') } catch (e) { return e.name } })()",
                "SyntaxError",
            ),
        ],
    );
}

#[test]
fn addresses() {
    hold(
        "",
        &[
            ("convert_addr('104.16.41.2')", "1745889538"),
            ("convert_addr('255.255.255.255')", "-1"),
            ("convert_addr('10.1')", "167837696"),
            ("isInNet('192.0.2.99', '192.0.2.99', '255.255.255.255')", "true"),
            ("isInNet('192.0.2.99', '192.0.2.0', '255.255.255.0')", "true"),
            ("isInNet('192.0.3.99', '192.0.2.0', '255.255.255.0')", "false"),
            ("isInNet('200.0.0.1', '128.0.0.0', '128.0.0.0')", "true"),
            ("isInNet('ten.example', '10.0.0.0', '255.0.0.0')", "true"),
            ("isInNet('none.example', '0.0.0.0', '0.0.0.0')", "false"),
            ("isInNet('six.example', '0.0.0.0', '0.0.0.0')", "false"),
            ("isInNet('192.0.2.1', '192.0.2', '255.255.255.0')", "false"),
            ("isInNet('192.0.2.1', '192.0.2.0', '255.255.256.0')", "false"),
            // Four numbers that are no address are looked up as a name.
            ("isInNet('256.0.0.1', '0.0.0.0', '0.0.0.0')", "false"),
            ("dnsResolve('api.example')", "192.0.2.1"),
            ("dnsResolve('six.example')", "null"),
            ("dnsResolve('none.example')", "null"),
            ("dnsResolve('192.0.2.9')", "192.0.2.9"),
            ("dnsResolve('2001:db8::1')", "null"),
            ("isResolvable('api.example')", "true"),
            ("isResolvable('six.example')", "false"),
            ("isResolvable('none.example')", "false"),
            ("myIpAddress()", "192.0.2.77"),
            ("dnsResolveEx('api.example')", "2001:db8::1;192.0.2.1;192.0.2.2"),
            ("dnsResolveEx('none.example')", ""),
            ("isResolvableEx('six.example')", "true"),
            ("isResolvableEx('none.example')", "false"),
            ("myIpAddressEx()", "192.0.2.77;2001:db8::77"),
            ("isInNetEx('192.0.2.7', '192.0.2.0/24')", "true"),
            ("isInNetEx('192.0.3.7', '192.0.2.0/24')", "false"),
            ("isInNetEx('2001:db8::7', '2001:db8::/32')", "true"),
            ("isInNetEx('2001:db9::7', '2001:db8::/32')", "false"),
            ("isInNetEx('192.0.2.7', '2001:db8::/32')", "false"),
            ("isInNetEx('name', '192.0.2.0/24')", "false"),
            (
                "sortIpAddressList('192.0.2.9;2001:db8::2; 192.0.2.1')",
                "2001:db8::2;192.0.2.1;192.0.2.9",
            ),
            ("sortIpAddressList('192.0.2.9;x')", "false"),
            ("sortIpAddressList('')", "false"),
        ],
    );
    // A function of the script's own is the one that the others use.
    hold(
        "function dnsResolve(name) { return '198.51.100.1' }",
        &[("isInNet('x', '198.51.100.0', '255.255.255.0')", "true"), ("isResolvable('x')", "true")],
    );
}

#[test]
fn days_of_the_week() {
    let rows = [
        ("weekdayRange('THU')", "true"),
        ("weekdayRange('FRI')", "false"),
        ("weekdayRange('MON', 'FRI')", "true"),
        ("weekdayRange('SAT', 'SUN')", "false"),
        ("weekdayRange('WED', 'MON')", "true"),
        ("weekdayRange('FRI', 'WED')", "false"),
        ("weekdayRange('FRI', 'THU')", "true"),
        ("weekdayRange('thu')", "false"),
        ("weekdayRange('THU', 'x')", "false"),
        ("weekdayRange()", "false"),
    ];
    hold(PRESENT, &rows);
    hold(
        UNIVERSAL,
        &[
            ("weekdayRange('THU', 'GMT')", "true"),
            ("weekdayRange('FRI', 'GMT')", "false"),
            ("weekdayRange('WED', 'THU', 'GMT')", "true"),
            ("weekdayRange('GMT')", "false"),
        ],
    );
}

#[test]
fn dates() {
    let rows = [
        ("dateRange(29)", "true"),
        ("dateRange(28)", "false"),
        ("dateRange(1, 29)", "true"),
        ("dateRange(1, 15)", "false"),
        ("dateRange(20, 5)", "true"),
        ("dateRange('FEB')", "true"),
        ("dateRange('MAR')", "false"),
        ("dateRange('JAN', 'MAR')", "true"),
        ("dateRange('MAR', 'DEC')", "false"),
        ("dateRange('NOV', 'MAR')", "true"),
        ("dateRange(2024)", "true"),
        ("dateRange(2023)", "false"),
        ("dateRange(2020, 2024)", "true"),
        ("dateRange(2025, 2030)", "false"),
        ("dateRange(1, 'FEB', 29, 'FEB')", "true"),
        ("dateRange(1, 'FEB', 28, 'FEB')", "false"),
        ("dateRange(24, 'DEC', 1, 'MAR')", "true"),
        ("dateRange('FEB', 2024, 'FEB', 2024)", "true"),
        ("dateRange('OCT', 2022, 'JAN', 2024)", "false"),
        ("dateRange('OCT', 2022, 'MAR', 2024)", "true"),
        ("dateRange(1, 'JUN', 2023, 29, 'FEB', 2024)", "true"),
        ("dateRange(1, 'MAR', 2024, 15, 'AUG', 2025)", "false"),
        ("dateRange('29')", "true"),
        ("dateRange('feb')", "false"),
        ("dateRange(29, 'FEB')", "false"),
        ("dateRange()", "false"),
    ];
    hold(PRESENT, &rows);
    hold(
        UNIVERSAL,
        &[
            ("dateRange(29, 'GMT')", "true"),
            ("dateRange(28, 'GMT')", "false"),
            ("dateRange('JAN', 'MAR', 'GMT')", "true"),
            ("dateRange(1, 'JUN', 2023, 28, 'FEB', 2024, 'GMT')", "false"),
            ("dateRange('GMT')", "false"),
        ],
    );
}

#[test]
fn times() {
    let rows = [
        ("timeRange(13)", "true"),
        ("timeRange(12)", "false"),
        ("timeRange(9, 13)", "true"),
        ("timeRange(9, 12)", "false"),
        ("timeRange(12, 6)", "false"),
        ("timeRange(13, 30, 14, 0)", "true"),
        ("timeRange(9, 0, 13, 30)", "true"),
        ("timeRange(9, 0, 13, 29)", "false"),
        ("timeRange(22, 0, 6, 0)", "false"),
        ("timeRange(13, 0, 6, 0)", "true"),
        ("timeRange(13, 30, 15, 13, 30, 15)", "true"),
        ("timeRange(13, 30, 16, 23, 0, 0)", "false"),
        ("timeRange(0, 0, 0, 13, 30, 14)", "false"),
        ("timeRange()", "false"),
        (
            "(function () { try { timeRange(1, 2, 3) } catch (e) { return e.name } })()",
            "RangeError",
        ),
    ];
    hold(PRESENT, &rows);
    hold(
        UNIVERSAL,
        &[
            ("timeRange(13, 'GMT')", "true"),
            ("timeRange(12, 'GMT')", "false"),
            ("timeRange(13, 0, 13, 31, 'GMT')", "true"),
            ("timeRange(13, 31, 14, 0, 'GMT')", "false"),
        ],
    );
}
