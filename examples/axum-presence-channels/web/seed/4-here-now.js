goEasy.hereNow({
    channels: ["my_channel", "my_channel2"],
    includeUsers: true, //可选项,是否返回用户列表,默认false
    distinct: true //可选项,相同userId的客户端,列表中只保留一个,默认false
},function(response) {
    alert("hereNow response: " + response);//json格式的response
    /**
    response示例:
    {
       "code": 200,
       "content": {
          "channels": {
             "channel_A": {      //channel
                "channel": "channel_A",
                "clientAmount": 2,    //在线客户端数量
                "userAmount": 2,      //在线用户数量
                "users": [    //在线用户id列表
                   {"id":"Jack","data":"18 years old"}, //在线用户
                   {"id":"Ted","data":""}
                ]
             },
             "channel_B": {       //channel
                "channel": "channel_B",
                "clientAmount": 1,
                "userAmount": 1,
                "users": [
                   {"id":"Tom","data":"18 years old"}
                ]
             }
          }
       }
    }
    **/
});
