var goEasy = new GoEasy({
    url: "/ws", // your own server, in the place of `host` and `appkey`
    getToken: logIn, // a token says who the user is, in the place of `userId`
    userData: "用户的附加信息,比如性别,年龄" //更多的用户信息,其它已监听上下线信息的用户,收到该用户上线信息里会包含此部分内容
});
