// The tools as the page of images takes them in, once its first image is there.
import type { OpenStudy } from '../open-study';
import { forgetMarks } from './annotations';
import { chosen, graphicsOn, keysOpen, marksOn, priorsOpen, sheetOpen, tool } from './bench';
import { prefetchPrior, type Tools } from './deeds';
import { Linking } from './linking';
import { PriorsDialog } from './priors';
import { KeySheet } from './sheet';
import './tools.css';

export { flushMarks } from './annotations';
export { sheetOpen } from './bench';
export { KeyList, SeriesStars } from './key-list';
export { MarksBar, SavedLine } from './marks-bar';
export { Overlay } from './overlay';
export { ToPrint } from './to-print';
export { pressTool } from './tool-keys';
export type { Tools } from './deeds';

/** The tools of a study that is open; `close` puts everything down. */
export function openTools(study: OpenStudy, write: boolean): Tools & { close: () => void } {
  sheetOpen.value = false; // asked for where no images were any more
  const tools = { study, panes: study.panes, linking: new Linking(study.panes), write };
  const stop = prefetchPrior(tools);
  return {
    ...tools,
    close: () => {
      stop();
      tools.linking.close();
      for (const shown of [marksOn, graphicsOn]) shown.value = true; // the next case's marks are not to be missed
      for (const open of [keysOpen, priorsOpen, sheetOpen]) open.value = false;
      tool.value = null;
      chosen.value = null;
      forgetMarks();
    },
  };
}

export function ToolDialogs({ tools }: { tools: Tools }) {
  return (
    <>
      {priorsOpen.value && <PriorsDialog tools={tools} />}
      {sheetOpen.value && <KeySheet write={tools.write} />}
    </>
  );
}
