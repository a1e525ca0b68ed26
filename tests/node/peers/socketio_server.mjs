// Socket.IO with its WebSocket transport only; the same messages as events.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const http = createServer()
const io = new Server(http, { transports: ['websocket'], pingInterval: 600_000, pingTimeout: 600_000 })

io.on('connection', (socket) => {
  const { room, player } = socket.handshake.query
  let seq = 0
  socket.join(room)
  socket.on('ping', (data) => socket.emit('pong', { timestamp: data.timestamp, server_time: Date.now() }))
  socket.on('progress', (data) => socket.to(room).emit('player_progress', { player_id: player, ...data }))
  socket.on('ready', (data) => {
    seq += 1
    io.to(room).emit('player_ready', { player_id: player, ...data, at: Date.now(), seq })
  })
})

http.listen(0, '127.0.0.1', 4096, () => console.log(http.address().port))
