//! A refused call with the AWS SDK for Rust, as an agent would write it; prints one line of JSON.

use aws_config::BehaviorVersion;
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let line = match aws_sdk_sts::Client::new(&config).get_caller_identity().send().await {
        Ok(_) => json!({ "error": "it was not refused" }),
        Err(error) => json!({
            "status": error.raw_response().map(|response| response.status().as_u16()),
            "code": error.code(),
            "message": error.message(),
        }),
    };
    println!("{line}");
}
