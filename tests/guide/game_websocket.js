class GameWebSocket {
  constructor(gameId, token) {
    this.gameId = gameId;
    this.token = token;
    this.ws = null;
    this.reconnectAttempts = 0;
    this.maxReconnectAttempts = 5;
  }

  connect() {
    try {
      // Connect using Authorization header (recommended)
      this.ws = new WebSocket(`wss://your-backend-domain/ws/${this.gameId}`, {
        headers: {
          Authorization: `Bearer ${this.token}`,
        },
      });

      this.setupEventHandlers();
    } catch (error) {
      console.error('WebSocket connection failed:', error);
      this.handleReconnect();
    }
  }

  setupEventHandlers() {
    this.ws.onopen = () => {
      console.log('WebSocket connection established');
      this.reconnectAttempts = 0;
    };

    this.ws.onmessage = (event) => {
      try {
        const data = JSON.parse(event.data);
        this.handleMessage(data);
      } catch (error) {
        console.error('Message parsing failed:', error);
      }
    };

    this.ws.onclose = (event) => {
      console.log('WebSocket connection closed:', event.code, event.reason);
      if (!event.wasClean) {
        this.handleReconnect();
      }
    };

    this.ws.onerror = (error) => {
      console.error('WebSocket error:', error);
    };
  }

  handleMessage(data) {
    switch (data.type) {
      case 'player_joined':
        console.log('Player joined:', data.data);
        break;
      case 'game_started':
        console.log('Game started:', data.data);
        break;
      case 'code_submitted':
        console.log('Code submitted:', data.data);
        break;
      case 'game_finished':
        console.log('Game finished:', data.data);
        break;
      default:
        console.log('Unknown message type:', data);
    }
  }

  sendMessage(type, data) {
    if (this.ws && this.ws.readyState === WebSocket.OPEN) {
      const message = { type, data };
      this.ws.send(JSON.stringify(message));
    } else {
      console.error('WebSocket not connected');
    }
  }

  handleReconnect() {
    if (this.reconnectAttempts < this.maxReconnectAttempts) {
      this.reconnectAttempts++;
      const delay = Math.min(1000 * Math.pow(2, this.reconnectAttempts), 30000);

      console.log(
        `Reconnecting in ${delay}ms (${this.reconnectAttempts}/${this.maxReconnectAttempts})`
      );

      setTimeout(() => {
        this.connect();
      }, delay);
    } else {
      console.error('Maximum reconnection attempts exceeded');
    }
  }

  disconnect() {
    if (this.ws) {
      this.ws.close(1000, 'User requested');
    }
  }
}

// Usage example
const gameWs = new GameWebSocket('game-uuid-here', 'jwt-token-here');
gameWs.connect();

// Send message
gameWs.sendMessage('ready', { status: 'ready' });
