import { Redis } from 'ioredis'
import { Queue } from 'bullmq'
const r = new Redis(process.argv[2], { maxRetriesPerRequest: null, enableOfflineQueue: false, enableReadyCheck: true })
r.on('error', e => console.log('error', e.message)); r.on('ready', () => console.log('ready'))
setTimeout(async () => { try { console.log(r.status, await r.ping()) } catch (e) { console.log(e.message) } ; 
const q = new Queue('x', { connection: r }); try { await q.waitUntilReady(); console.log('q ready'); await q.add('a', {}); console.log('added') } catch (e) { console.log(e.message, e.stack) } process.exit() }, 500)
