goEasy.subscribePresence({
    channel: "my_channel",
    onPresence: function(presenceEvents){
        console.log("Presence events: ", JSON.stringify(presenceEvents));
    }
});
