//! Who may come in: links work once, the last admin stays, and whoever was sent away is out at once.

use crate::{
    engines::{Engine, on_each},
    world::{account_id, id, settle, user},
};
use domain::{
    BearerHash, Link, LinkId, LinkPurpose, Member, MemberChange, Role, SignIn, SignInId, Timestamp, Token, TokenId,
    UserId, Welcome,
};
use store::{Access, StoreError};

on_each!(
    a_link_works_once_and_until_its_end,
    an_invitation_raises_a_right_and_never_lowers_one,
    a_password_is_reset_only_for_somebody_who_is_there,
    the_last_admin_stays,
    whoever_is_sent_away_is_out_at_once,
    a_new_password_ends_the_other_sign_ins,
    tokens_act_as_their_person_or_as_the_account,
    nothing_of_another_account_is_touched,
);

const NOW: Timestamp = Timestamp(1000);

fn hash(text: &str) -> BearerHash {
    BearerHash::of(text)
}

fn link(n: u32, purpose: LinkPurpose, email: Option<&str>, role: Role) -> Link {
    Link {
        id: LinkId(id(30, n)),
        account: account_id(1),
        purpose,
        email: email.map(str::to_owned),
        role,
        invited_by: None,
        created_at: Timestamp(1),
        expires_at: Timestamp(2000),
    }
}

fn welcome(n: u32, name: Option<&str>, email: Option<&str>) -> Welcome {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Welcome { id: UserId(id(31, n)), name: text(name), email: text(email), password: format!("$phc${n}") }
}

async fn invited(access: &dyn Access, n: u32, email: &str, role: Role) -> Member {
    access.add_link(&link(n, LinkPurpose::Invitation, Some(email), role), hash(email)).await.expect("adds");
    let used = access.use_link(hash(email), &welcome(n, Some("Grace"), None), NOW).await.expect("works");
    used.expect("the link is there")
}

async fn sign_in(access: &dyn Access, n: u32, user: UserId) -> SignIn {
    let new = SignIn {
        id: SignInId(id(32, n)),
        user,
        agent: "Browser".to_owned(),
        created_at: NOW,
        used_at: NOW,
        ends_at: Some(Timestamp(9000)),
    };
    access.add_sign_in(&new, hash(&format!("cookie {n}"))).await.expect("adds");
    new
}

async fn a_link_works_once_and_until_its_end(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let first = link(1, LinkPurpose::FirstAdmin, None, Role::Admin);
    access.add_link(&first, hash("old")).await.expect("adds");
    let newer = Link { id: LinkId(id(30, 2)), ..first.clone() };
    access.add_link(&newer, hash("new")).await.expect("takes the older one's place");
    assert_eq!(access.link(hash("old"), NOW).await.expect("reads"), None);
    assert_eq!(access.links(account_id(1), NOW).await.expect("reads"), std::slice::from_ref(&newer));
    assert_eq!(access.link(hash("new"), newer.expires_at).await.expect("reads"), None, "too old");
    let late = access.use_link(hash("new"), &welcome(1, Some("G"), Some("g@x")), newer.expires_at).await;
    assert_eq!(late.expect("answers"), None);

    let nameless = access.use_link(hash("new"), &welcome(1, Some("Grace"), None), NOW).await;
    assert!(matches!(nameless, Err(StoreError::Missing { what: "mail address", .. })), "{nameless:?}");
    let grace = access.use_link(hash("new"), &welcome(1, Some("Grace"), Some("grace@x")), NOW).await;
    let grace = grace.expect("works").expect("a refused use left the link as it was");
    assert_eq!((grace.user.name.as_str(), grace.user.role, grace.active), ("Grace", Role::Admin, true));
    let again = access.use_link(hash("new"), &welcome(2, Some("Eve"), Some("eve@x")), NOW).await;
    assert_eq!(again.expect("answers"), None, "it works once");
    let found = access.credentials(account_id(1), "GRACE@x").await.expect("reads");
    assert_eq!(found, Some((grace, "$phc$1".to_owned())));
}

async fn an_invitation_raises_a_right_and_never_lowers_one(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let ada = invited(&*access, 1, "ADA@example.org", Role::Member).await;
    assert_eq!((ada.user.id, ada.user.role), (user(1).id, Role::Admin), "the person who is known already");
    let grace = invited(&*access, 2, "grace@x", Role::Member).await;
    assert_eq!(grace.user.role, Role::Member);
    assert_eq!(invited(&*access, 3, "grace@x", Role::Maintainer).await.user.role, Role::Maintainer);
    let names: Vec<_> =
        access.members(account_id(1)).await.expect("reads").into_iter().map(|it| it.user.email).collect();
    assert_eq!(names, ["ada@example.org", "grace@x"]);
}

async fn a_password_is_reset_only_for_somebody_who_is_there(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let reset = |n, email| link(n, LinkPurpose::PasswordReset, Some(email), Role::Admin);
    access.add_link(&reset(1, "nobody@x"), hash("one")).await.expect("adds");
    let nobody = access.use_link(hash("one"), &welcome(1, None, None), NOW).await;
    assert!(matches!(nobody, Err(StoreError::Missing { what: "person", .. })), "{nobody:?}");

    let grace = invited(&*access, 2, "grace@x", Role::Member).await;
    sign_in(&*access, 1, grace.user.id).await;
    access.add_link(&reset(3, "grace@x"), hash("two")).await.expect("adds");
    let again = access.use_link(hash("two"), &welcome(4, Some("Eve"), None), NOW).await.expect("works");
    let again = again.expect("the link is there");
    assert_eq!((again.user.id, again.user.role), (grace.user.id, Role::Member), "no right comes with it");
    assert_eq!(access.sign_ins(grace.user.id).await.expect("reads"), [], "who had the old password is out");
    let (_, password) = access.credentials(account_id(1), "grace@x").await.expect("reads").expect("Grace");
    assert_eq!(password, "$phc$4");
}

async fn the_last_admin_stays(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let ada = user(1).id;
    for change in [MemberChange::Role(Role::Maintainer), MemberChange::Active(false)] {
        let refused = access.change_member(account_id(1), ada, &change).await;
        assert!(matches!(refused, Err(StoreError::LastAdmin)), "{refused:?}");
    }
    assert_eq!(access.member(ada).await.expect("reads").expect("Ada").user.role, Role::Admin, "nothing changed");
    let grace = invited(&*access, 1, "grace@x", Role::Admin).await;
    let left = access.change_member(account_id(1), ada, &MemberChange::Role(Role::Member)).await.expect("changes");
    assert_eq!(left.user.role, Role::Member);
    let refused = access.change_member(account_id(1), grace.user.id, &MemberChange::Active(false)).await;
    assert!(matches!(refused, Err(StoreError::LastAdmin)), "{refused:?}");
}

async fn whoever_is_sent_away_is_out_at_once(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let grace = invited(&*access, 1, "grace@x", Role::Member).await.user.id;
    sign_in(&*access, 1, grace).await;
    let token = token(1, Some(grace));
    access.add_token(&token, hash("token")).await.expect("adds");
    assert!(access.sign_in(hash("cookie 1")).await.expect("reads").is_some());
    access.change_member(account_id(1), grace, &MemberChange::Active(false)).await.expect("sends away");
    assert!(access.sign_in(hash("cookie 1")).await.expect("reads").is_none());
    assert!(access.token(hash("token")).await.expect("reads").is_none());
    assert_eq!(access.credentials(account_id(1), "grace@x").await.expect("reads"), None);
    let new = SignIn {
        id: SignInId(id(32, 9)),
        user: grace,
        agent: String::new(),
        created_at: NOW,
        used_at: NOW,
        ends_at: None,
    };
    let refused = access.add_sign_in(&new, hash("late")).await;
    assert!(matches!(refused, Err(StoreError::Missing { what: "person", .. })), "{refused:?}");

    access.change_member(account_id(1), grace, &MemberChange::Active(true)).await.expect("lets in again");
    assert!(access.token(hash("token")).await.expect("reads").is_none(), "what was ended stays ended");
    assert!(access.credentials(account_id(1), "grace@x").await.expect("reads").is_some());
}

async fn a_new_password_ends_the_other_sign_ins(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let grace = invited(&*access, 1, "grace@x", Role::Member).await.user.id;
    let (here, _there) = (sign_in(&*access, 1, grace).await, sign_in(&*access, 2, grace).await);
    let change = MemberChange::Password("$phc$new".to_owned(), Some(here.id));
    access.change_member(account_id(1), grace, &change).await.expect("changes");
    assert_eq!(access.sign_ins(grace).await.expect("reads"), std::slice::from_ref(&here));
    access.used_sign_in(here.id, Timestamp(5000)).await.expect("notes");
    assert_eq!(access.end_stale_sign_ins(Timestamp(5000)).await.expect("ends"), 0);
    assert_eq!(access.end_stale_sign_ins(Timestamp(5001)).await.expect("ends"), 1);
}

fn token(n: u32, user: Option<UserId>) -> Token {
    Token {
        id: TokenId(id(33, n)),
        account: account_id(1),
        user,
        name: format!("token {n}"),
        created_at: Timestamp(i64::from(n)),
        expires_at: Some(Timestamp(2000)),
        used_at: None,
    }
}

async fn tokens_act_as_their_person_or_as_the_account(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let (own, account) = (token(1, Some(user(1).id)), token(2, None));
    access.add_token(&own, hash("own")).await.expect("adds");
    access.add_token(&account, hash("account")).await.expect("adds");
    let (found, member) = access.token(hash("own")).await.expect("reads").expect("there");
    assert_eq!((found.clone(), member.expect("a person").user.id), (own.clone(), user(1).id));
    assert!(found.is_expired(Timestamp(2000)) && !found.is_expired(Timestamp(1999)));
    let (found, member) = access.token(hash("account")).await.expect("reads").expect("there");
    assert_eq!((found, member), (account.clone(), None));
    access.used_token(own.id, NOW).await.expect("notes");
    assert_eq!(
        access.tokens(account_id(1)).await.expect("reads"),
        [account, Token { used_at: Some(NOW), ..own.clone() }]
    );
    assert!(access.remove_token(account_id(1), own.id).await.expect("removes"));
    assert!(!access.remove_token(account_id(1), own.id).await.expect("looks"));
    assert!(access.token(hash("own")).await.expect("reads").is_none());
}

async fn nothing_of_another_account_is_touched(engine: Engine) {
    settle(&*engine.store(), 1).await;
    settle(&*engine.store(), 2).await;
    let access = engine.access();
    let change = access.change_member(account_id(2), user(1).id, &MemberChange::Name("Eve".to_owned())).await;
    assert!(matches!(change, Err(StoreError::Missing { what: "person", .. })), "{change:?}");
    access.add_token(&token(1, None), hash("one")).await.expect("adds");
    assert!(!access.remove_token(account_id(2), token(1, None).id).await.expect("looks"));
    let foreign = Token { account: account_id(2), ..token(2, Some(user(1).id)) };
    assert!(access.add_token(&foreign, hash("two")).await.is_err());
    access.add_link(&link(1, LinkPurpose::FirstAdmin, None, Role::Admin), hash("link")).await.expect("adds");
    assert!(!access.remove_link(account_id(2), LinkId(id(30, 1))).await.expect("looks"));
    assert_eq!(access.links(account_id(2), NOW).await.expect("reads"), []);
    assert!(access.remove_link(account_id(1), LinkId(id(30, 1))).await.expect("removes"));
}
