// What somebody picked or dropped, folders with all that is in them, without what computers leave lying about.
import type { Picked } from '../sending/sender';

const LITTER = /(^|\/)(\.[^/]*|Thumbs\.db|desktop\.ini|__MACOSX(\/.*)?)$/i;

/** Of an <input type="file">: its own names, with folders where a folder was picked. */
export function ofInput(list: FileList | null): Picked[] {
  return tidy(Array.from(list ?? [], (file) => ({ file, name: file.webkitRelativePath || file.name })));
}

/** Of a drop. Its entries must be taken at once, before anything is awaited. */
export async function ofDrop(transfer: DataTransfer): Promise<Picked[]> {
  const items = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found: Picked[] = [];
  for (const item of items) {
    if (item instanceof File) found.push({ file: item, name: item.name });
    else if (item) await walk(item, found);
  }
  return tidy(found);
}

function tidy(picked: Picked[]): Picked[] {
  return picked.filter(({ name }) => !LITTER.test(name));
}

async function walk(entry: FileSystemEntry, found: Picked[]): Promise<void> {
  if (isFile(entry)) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, name: entry.fullPath.replace(/^\//, '') });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) { // a hundred at a time
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return;
    for (const each of entries) await walk(each, found);
  }
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}
