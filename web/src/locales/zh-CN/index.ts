import admin from './admin.json';
import core from './core.json';
import desk from './desk.json';
import live from './live.json';
import reading from './reading.json';

export default { ...core, ...desk, ...admin, ...live, ...reading };
