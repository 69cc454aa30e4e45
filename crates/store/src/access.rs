//! Who may come in: passwords, sign-ins, tokens, links that are handed over.

use crate::StoreError;
use async_trait::async_trait;
use domain::{
    AccountId, Admission, Arrival, BearerHash, Errand, Identity, Link, LinkId, Member, MemberChange, SignIn, SignInId,
    Timestamp, Token, TokenId, UserId, Welcome,
};

/// The people of accounts and what they come in with. Of a value that only its bearer has, the hash is kept.
///
/// Whoever was sent away (`active` is false) is not found by anything that they could come in with.
#[async_trait]
pub trait Access: Send + Sync {
    /// People of the account by name.
    async fn members(&self, account: AccountId) -> Result<Vec<Member>, StoreError>;

    /// A person by id.
    async fn member(&self, id: UserId) -> Result<Option<Member>, StoreError>;

    /// The active person who signs in with this mail address (in any case of ASCII letters), and their password as a
    /// PHC string.
    async fn credentials(&self, account: AccountId, email: &str) -> Result<Option<(Member, String)>, StoreError>;

    /// Changes a person of the account. Fails with [`StoreError::Missing`] when the account has nobody with this id,
    /// and with [`StoreError::LastAdmin`] when no active admin would be left.
    async fn change_member(&self, account: AccountId, id: UserId, change: &MemberChange) -> Result<Member, StoreError>;

    /// Notes that a person signed in.
    async fn add_sign_in(&self, new: &SignIn, hash: BearerHash) -> Result<(), StoreError>;

    /// The sign-in with this hash and its person.
    async fn sign_in(&self, hash: BearerHash) -> Result<Option<(SignIn, Member)>, StoreError>;

    /// Notes that a sign-in was used.
    async fn used_sign_in(&self, id: SignInId, now: Timestamp) -> Result<(), StoreError>;

    /// Where a person is signed in, newest first.
    async fn sign_ins(&self, user: UserId) -> Result<Vec<SignIn>, StoreError>;

    /// Ends one sign-in.
    async fn end_sign_in(&self, id: SignInId) -> Result<(), StoreError>;

    /// Ends all sign-ins of a person; how many there were.
    async fn end_sign_ins(&self, user: UserId) -> Result<u64, StoreError>;

    /// Ends all sign-ins that were not used since `before`.
    async fn end_stale_sign_ins(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Adds a token.
    async fn add_token(&self, new: &Token, hash: BearerHash) -> Result<(), StoreError>;

    /// The token with this hash, however old, and as whom it acts.
    async fn token(&self, hash: BearerHash) -> Result<Option<(Token, Option<Member>)>, StoreError>;

    /// Notes that a token was used.
    async fn used_token(&self, id: TokenId, now: Timestamp) -> Result<(), StoreError>;

    /// The account's tokens, newest first.
    async fn tokens(&self, account: AccountId) -> Result<Vec<Token>, StoreError>;

    /// Takes a token back. False when the account has none with this id.
    async fn remove_token(&self, account: AccountId, id: TokenId) -> Result<bool, StoreError>;

    /// Adds a link. One for the first admin, or for the same purpose and mail address, takes the place of an older one.
    async fn add_link(&self, new: &Link, hash: BearerHash) -> Result<(), StoreError>;

    /// The link with this hash, unless it is too old at `now`.
    async fn link(&self, hash: BearerHash, now: Timestamp) -> Result<Option<Link>, StoreError>;

    /// Links of the account that may still be used at `now`, newest first.
    async fn links(&self, account: AccountId, now: Timestamp) -> Result<Vec<Link>, StoreError>;

    /// Takes a link back. False when the account has none with this id.
    async fn remove_link(&self, account: AccountId, id: LinkId) -> Result<bool, StoreError>;

    /// Uses a link up: the person that it is for is there afterwards, with its role (a new password leaves the role as
    /// it is), active, and with the password. None when there is no such link any more.
    ///
    /// Fails with [`StoreError::Missing`] when neither link nor `welcome` names a mail address, or when a password is
    /// reset for somebody who is not there or was sent away.
    async fn use_link(&self, hash: BearerHash, welcome: &Welcome, now: Timestamp)
    -> Result<Option<Member>, StoreError>;

    /// Notes that somebody was sent to a provider; what came back too late at `now` is forgotten.
    async fn add_errand(&self, new: &Errand, hash: BearerHash, now: Timestamp) -> Result<(), StoreError>;

    /// Takes the errand with this hash, which works once. None when there is none, or it is too old at `now`.
    async fn take_errand(&self, hash: BearerHash, now: Timestamp) -> Result<Option<Errand>, StoreError>;

    /// Says what becomes of somebody for whom a provider vouches, and makes it so: whoever is invited or welcome is there
    /// afterwards, and the next time known by issuer and subject alone.
    async fn admit(&self, account: AccountId, arrival: &Arrival, now: Timestamp) -> Result<Admission, StoreError>;

    /// By whom providers know people of the account, oldest first.
    async fn identities(&self, account: AccountId) -> Result<Vec<Identity>, StoreError>;
}
