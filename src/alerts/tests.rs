//! What receivers get, who may be one, and what is never printed.

use super::*;
use crate::config::webhook::WebhookConfig;
use crate::model::Address;
use crate::model::event::EventKind;
use std::net::IpAddr;

fn config(url: &str) -> WebhookConfig {
    WebhookConfig::new("ops", url)
}

fn secret(text: &str) -> Files {
    Files { secret: Some(text.to_owned()), ..Files::default() }
}

fn switch_master() -> Event {
    Event {
        id: 7,
        at_ms: 1_700_000_000_123,
        kind: EventKind::SwitchMaster,
        group: "mymaster".into(),
        epoch: 4,
        instance: Some(Address::new("10.0.0.2", 6379)),
        payload: "mymaster 10.0.0.1 6379 10.0.0.2 6379".into(),
        details: vec![("from".into(), "10.0.0.1:6379".into()), ("to".into(), "10.0.0.2:6379".into())],
    }
}

const BODY: &str = concat!(
    r#"{"at":"2023-11-14T22:13:20.123Z","cluster":"c.1","details":{"from":"10.0.0.1:6379","#,
    r#""to":"10.0.0.2:6379"},"epoch":4,"group":"mymaster","id":7,"instance":"10.0.0.2:6379","#,
    r#""payload":"mymaster 10.0.0.1 6379 10.0.0.2 6379","severity":"warning","#,
    r#""summary":"clients are to use the new master","type":"+switch-master"}"#
);

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_configuration_knows_the_same_formats() {
    let formats: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    assert_eq!(formats, crate::config::webhook::WEBHOOK_FORMATS);
}

#[test]
fn a_switch_of_master_as_the_receiver_sees_it() {
    let target = Target::new(&config("https://ops.example/hook"), &secret("correct horse\n")).unwrap();
    let request = request(&switch_master(), &target, "c.1", Wall(1_700_000_042_000)).unwrap();
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), BODY);
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(header(&request, "webhook-id"), Some("evt_c-1_7"), "the dot belongs to the signature");
    assert_eq!(header(&request, "webhook-timestamp"), Some("1700000042"));
    // Computed with Python's hmac over `evt_c-1_7.1700000042.BODY`.
    assert_eq!(
        header(&request, "webhook-signature"),
        Some("v1,1RYlhHg8Do6buYmfPUkkLDk3nUzrqY23v7Z0Qw9gREE=")
    );
}

#[test]
fn the_id_and_body_are_the_same_at_every_try_and_only_the_time_differs() {
    let target = Target::new(&config("https://ops.example/hook"), &secret("correct horse")).unwrap();
    let first = request(&switch_master(), &target, "c", Wall(1_000)).unwrap();
    let again = request(&switch_master(), &target, "c", Wall(90_000)).unwrap();
    assert_eq!(header(&first, "webhook-id"), header(&again, "webhook-id"));
    assert_eq!(first.body, again.body);
    assert_ne!(header(&first, "webhook-signature"), header(&again, "webhook-signature"));
    let elsewhere = request(&switch_master(), &target, "d", Wall(1_000)).unwrap();
    assert_ne!(header(&first, "webhook-id"), header(&elsewhere, "webhook-id"));
}

#[test]
fn signatures_agree_with_another_implementation_of_standard_webhooks() {
    let target =
        Target::new(&config("https://a.example"), &secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
    let body = br#"{"test": 2432232314}"#;
    let signature = signature::header(&target.secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
    // Computed with Python's hmac and base64.
    assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
}

#[test]
fn two_secrets_sign_twice_and_none_signs_not_at_all() {
    let both = Target::new(&config("https://a.example"), &secret("old secret\n\nnew secret\n")).unwrap();
    let sent = request(&switch_master(), &both, "c", Wall(0)).unwrap();
    let signatures: Vec<&str> = header(&sent, "webhook-signature").unwrap().split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert_ne!(signatures[0], signatures[1]);
    let unsigned = Target::new(&config("https://a.example"), &Files::default()).unwrap();
    assert_eq!(
        header(&request(&switch_master(), &unsigned, "c", Wall(0)).unwrap(), "webhook-signature"),
        None
    );
}

#[test]
fn bad_targets_are_refused_with_the_place_and_the_remedy() {
    let refused = |config: &WebhookConfig, text: Option<&str>| {
        let files = text.map(secret).unwrap_or_default();
        Target::new(config, &files).err().unwrap().to_string()
    };
    let mut unknown_format = config("https://a.example");
    unknown_format.format = "carrier-pigeon".into();
    let told = refused(&unknown_format, None);
    assert!(
        told.starts_with("webhook 'ops': format 'carrier-pigeon' is not known; known are: generic, "),
        "{told}"
    );
    for secrets in ["", "short", "whsec_!!!!", "one secret\ntwo secrets\nthree secrets"] {
        let told = refused(&config("https://a.example"), Some(secrets));
        assert!(told.contains("secret-file, line"), "{told}");
        assert!(!told.contains("three secrets"), "a secret is never repeated: {told}");
    }
    for url in [
        "ftp://a.example",
        "https://",
        "https:///path",
        "http://a.example:0",
        "http://a.example:99999",
        "http://[::1",
        "http://a b",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://127.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://a.example\\@b.example",
    ] {
        assert!(refused(&config(url), None).starts_with("webhook 'ops': url: "), "{url}");
    }
}

#[test]
fn an_endpoint_prints_neither_userinfo_nor_path_nor_query() {
    let endpoint = Endpoint::parse("https://user:pw@ops.example:8443/services/T0/B0/token?key=k#f").unwrap();
    assert_eq!(endpoint.to_string(), "https://ops.example:8443");
    assert_eq!(format!("{endpoint:?}"), "https://ops.example:8443");
    assert!(endpoint.reveal().contains("token"));
    assert_eq!(Endpoint::parse("http://[::1]:80/x").unwrap().to_string(), "http://[::1]:80");
}

#[test]
fn names_do_not_lead_inside_unless_the_operator_says_so() {
    let admits = |url: &str, ip: &str, allow_private| {
        let ip: IpAddr = ip.parse().unwrap();
        Endpoint::parse(url).unwrap().host().admits(ip, allow_private).is_ok()
    };
    for inside in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(!admits("https://hook.example", inside, false), "{inside}");
        assert!(admits("https://hook.example", inside, true), "{inside}");
    }
    for never in
        ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::", "64:ff9b::a9fe:a9fe", "255.255.255.255"]
    {
        assert!(!admits("https://hook.example", never, true), "{never}");
        assert!(!admits("http://localhost", never, true), "{never}");
    }
    assert!(admits("https://hook.example", "93.184.216.34", false));
    assert!(admits("http://127.0.0.1:9000/", "127.0.0.1", false));
    assert!(admits("http://10.0.0.8/", "10.0.0.8", false));
    assert!(admits("http://localhost:9000/", "127.0.0.1", false));
    assert!(!admits("http://localhost:9000/", "93.184.216.34", true));
}
