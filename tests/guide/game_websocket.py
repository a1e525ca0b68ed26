import websocket
import json
import time
import threading

class GameWebSocket:
    def __init__(self, game_id, token, backend_url):
        self.game_id = game_id
        self.token = token
        self.backend_url = backend_url
        self.ws = None
        self.reconnect_attempts = 0
        self.max_reconnect_attempts = 5

    def connect(self):
        try:
            # Connect using Authorization header
            headers = {
                'Authorization': f'Bearer {self.token}'
            }

            url = f"{self.backend_url}/ws/{self.game_id}"
            self.ws = websocket.WebSocketApp(
                url,
                header=headers,
                on_open=self.on_open,
                on_message=self.on_message,
                on_error=self.on_error,
                on_close=self.on_close
            )

            # Run WebSocket in separate thread
            wst = threading.Thread(target=self.ws.run_forever)
            wst.daemon = True
            wst.start()

        except Exception as e:
            print(f'WebSocket connection failed: {e}')
            self.handle_reconnect()

    def on_open(self, ws):
        print('WebSocket connection established')
        self.reconnect_attempts = 0

    def on_message(self, ws, message):
        try:
            data = json.loads(message)
            self.handle_message(data)
        except json.JSONDecodeError as e:
            print(f'Message parsing failed: {e}')

    def on_error(self, ws, error):
        print(f'WebSocket error: {error}')

    def on_close(self, ws, close_status_code, close_msg):
        print(f'WebSocket connection closed: {close_status_code} - {close_msg}')
        if close_status_code != 1000:  # Not a normal closure
            self.handle_reconnect()

    def handle_message(self, data):
        message_type = data.get('type')
        message_data = data.get('data', {})

        if message_type == 'player_joined':
            print(f'Player joined: {message_data}')
        elif message_type == 'game_started':
            print(f'Game started: {message_data}')
        elif message_type == 'code_submitted':
            print(f'Code submitted: {message_data}')
        elif message_type == 'game_finished':
            print(f'Game finished: {message_data}')
        else:
            print(f'Unknown message type: {data}')

    def send_message(self, message_type, data):
        if self.ws and self.ws.sock and self.ws.sock.connected:
            message = {'type': message_type, 'data': data}
            self.ws.send(json.dumps(message))
        else:
            print('WebSocket not connected')

    def handle_reconnect(self):
        if self.reconnect_attempts < self.max_reconnect_attempts:
            self.reconnect_attempts += 1
            delay = min(1000 * (2 ** self.reconnect_attempts), 30000)

            print(f'Reconnecting in {delay}ms ({self.reconnect_attempts}/{self.max_reconnect_attempts})')

            time.sleep(delay / 1000)
            self.connect()
        else:
            print('Maximum reconnection attempts exceeded')

    def disconnect(self):
        if self.ws:
            self.ws.close(1000, 'User requested')

# Usage example
if __name__ == "__main__":
    game_ws = GameWebSocket(
        game_id='game-uuid-here',
        token='jwt-token-here',
        backend_url='wss://your-backend-domain'
    )

    game_ws.connect()

    # Send message
    game_ws.send_message('ready', {'status': 'ready'})

    # Keep connection alive
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        game_ws.disconnect()
