goEasy.unsubscribePresence({
    channel: "my_channel"
});
