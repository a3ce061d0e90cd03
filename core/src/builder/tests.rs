use super::*;
use crate::policy::OnLimit;

fn fails(builder: Builder) -> String {
    builder.build().expect_err("it must not build").to_string()
}

#[test]
fn nonsense_is_found_when_it_is_built() {
    let zero = LoginPolicy::unlimited().max_per_user(0).on_limit(OnLimit::RefuseNewest);
    assert!(fails(Builder::default().login_policy(zero)).contains("zero sessions"));
    assert!(
        fails(Builder::default().heartbeat(Duration::ZERO, Duration::from_secs(1))).contains("heartbeat")
    );
    assert!(fails(Builder::default().lanes(0)).contains("lanes"));
    assert!(fails(Builder::default().max_connections(0)).contains("zero connections"));
    assert!(fails(Builder::default().max_push(8 << 20)).contains("max_push"));
    let any = Origins::any();
    assert!(Builder::default().origins(any).sources(Sources::default().cookie("token")).build().is_err());
    let inbound = Inbound { max_frame: 10, max_message: 5, ..Inbound::default() };
    assert!(fails(Builder::default().inbound(inbound)).contains("max_frame"));
}

#[test]
fn the_defaults_build_without_a_runtime() {
    Builder::default().build().unwrap();
}
