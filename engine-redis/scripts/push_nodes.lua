-- To some nodes.    ARGV  6.. their ids
for i = 6, #ARGV do send(ARGV[i]) end
return {nodes, kept}
