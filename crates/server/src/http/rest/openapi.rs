//! The document that describes the REST API, made from the types that it is written in.

use super::{asked, handlers, told};
use crate::http::problem::Refused;
use axum::Json;
use serde_json::{Value, json};
use std::sync::LazyLock;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr, Schema,
        schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Runyard REST API",
        description = "Sessions, here called runbooks, for programs. Every path may end with a slash."
    ),
    paths(handlers::create, handlers::list, handlers::status, handlers::follow_up, handlers::detail),
    components(schemas(asked::NewRunbook, asked::FollowUp, told::Runbook, told::Page, told::Detail, Refused)),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Described;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of a person or of the account: Settings, Tokens."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

/// A list of labels.
pub fn labels() -> RefOr<Schema> {
    let label =
        ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).max_length(Some(50)).pattern(Some(concat!(
            r"^[^\u0000-\u001f\u007f-\u009f]*",
            r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
            r"[^\u0000-\u001f\u007f-\u009f]*$"
        )));
    ArrayBuilder::new().items(label).max_items(Some(100)).into()
}

/// The document.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Described::openapi()).unwrap_or_default();
    // Nothing that Rust's types can say, and so nothing that is derived from them.
    for name in ["NewRunbook", "FollowUp"] {
        let given = |field: &str| json!({ "required": [field], "properties": { field: { "type": "string" } } });
        document["components"]["schemas"][name]["oneOf"] = json!([given("intent"), given("prompt")]);
    }
    document
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Answers with the document.
pub async fn serve() -> Json<&'static Value> {
    Json(&DOCUMENT)
}
