use herenow::{InMemoryPusher, OnlineManager, OnlineUser};
use std::collections::HashMap;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Create online manager
    let manager = Arc::new(OnlineManager::new());

    // Register message pusher
    let pusher = Arc::new(InMemoryPusher::new());
    manager.register_pusher(pusher.clone()).await;

    // Mark user as online
    let user = OnlineUser {
        login_id: "user123".to_string(),
        token: "token123".to_string(),
        device: "web".to_string(),
        connect_time: chrono::Utc::now(),
        last_activity: chrono::Utc::now(),
        metadata: HashMap::new(),
    };
    manager.mark_online(user).await;

    // Push message to user
    manager.push_to_user("user123", "Hello!".to_string()).await?;

    // Broadcast to all users
    manager.broadcast("System announcement".to_string()).await?;

    // Check online status
    if manager.is_online("user123").await {
        println!("User is online");
    }

    Ok(())
}
