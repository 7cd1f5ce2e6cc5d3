// /live: the board of everybody monitored; /live?recording=ID: one patient.
import { place } from '../core/place';
import { startPage } from '../core/shell';
import { Board } from './board';
import './live.css';
import { Single } from './single';

function LivePage() {
  const id = place.value.get('recording');
  return id ? <Single key={id} id={id} /> : <Board />;
}

void startPage(LivePage);
