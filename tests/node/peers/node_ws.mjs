// The peer most services are built on: Node's `ws`; with JWT_SECRET it verifies the token of each handshake.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import jsonwebtoken from 'jsonwebtoken'

const secret = process.env.JWT_SECRET
const rooms = new Map()
const http = createServer()
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })

http.on('upgrade', (request, socket, head) => {
  let player = request.headers.player
  if (secret) {
    try {
      const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
      player = jsonwebtoken.verify(token, secret, { algorithms: ['HS256'] }).sub
    } catch {
      socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
      return
    }
  }
  sockets.handleUpgrade(request, socket, head, (ws) => join(ws, request.url, player))
})

function join(ws, name, player) {
  if (!rooms.has(name)) rooms.set(name, new Set())
  const members = rooms.get(name)
  let seq = 0
  members.add(ws)
  if (secret) ws.send(JSON.stringify({ type: 'welcome', data: { player } }))
  ws.on('close', () => members.delete(ws))
  ws.on('message', (raw) => {
    const { type, data } = JSON.parse(raw)
    if (type === 'ping') {
      ws.send(JSON.stringify({ type: 'pong', data: { timestamp: data.timestamp, server_time: Date.now() } }))
    } else if (type === 'progress') {
      const text = JSON.stringify({ type: 'player_progress', data: { player_id: player, ...data } })
      for (const one of members) if (one !== ws) one.send(text)
    } else if (type === 'ready') {
      seq += 1
      const text = JSON.stringify({ type: 'player_ready', data: { player_id: player, ...data, at: Date.now() }, seq })
      for (const one of members) one.send(text)
    }
  })
}

http.listen(0, '127.0.0.1', 4096, () => console.log(http.address().port))
