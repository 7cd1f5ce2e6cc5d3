// Lists as tables: sticky head, sortable by keyboard, one line a row; on a phone each row becomes a small card.
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { t } from '../i18n';

export type Column<R> = {
  name: string;
  label: string;
  cell: (row: R) => ComponentChildren;
  sort?: (row: R) => string | number;
  numeric?: boolean;
  minor?: boolean; // left out on a phone
  bare?: boolean; // its head is for screen readers only, as of buttons
};

type TableProps<R> = {
  caption: string;
  rows: readonly R[];
  columns: readonly Column<R>[];
  rowKey: (row: R) => string;
  empty: ComponentChildren;
  marked?: (row: R) => boolean;
};

type Order = { name: string; down: boolean };

function sorted<R>(rows: readonly R[], columns: readonly Column<R>[], order: Order | null): readonly R[] {
  const sort = columns.find((column) => column.name === order?.name)?.sort;
  if (!order || !sort) return rows;
  const sign = order.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = sort(a);
    const y = sort(b);
    return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'zh-CN', { numeric: true }));
  });
}

export function Table<R>({ caption, rows, columns, rowKey, empty, marked }: TableProps<R>) {
  const [order, setOrder] = useState<Order | null>(null);
  const shown = useMemo(() => sorted(rows, columns, order), [rows, columns, order]);
  if (rows.length === 0) return <>{empty}</>;
  return (
    <div class="table-frame">
      <table class="table">
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>{columns.map((column) => <Head key={column.name} column={column} order={order} setOrder={setOrder} />)}</tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={rowKey(row)} class={marked?.(row) ? 'row-marked' : undefined}>
              {columns.map((column) => (
                <td key={column.name} data-label={column.label} class={classOf(column)}>{column.cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function classOf<R>({ numeric, minor, bare }: Column<R>): string | undefined {
  return [numeric && 'numeric', minor && 'minor', bare && 'bare'].filter(Boolean).join(' ') || undefined;
}

function Head<R>({ column, order, setOrder }: { column: Column<R>; order: Order | null; setOrder: (order: Order | null) => void }) {
  if (!column.sort) return <th scope="col" class={classOf(column)}>{column.bare ? <span class="unseen">{column.label}</span> : column.label}</th>;
  const here = order?.name === column.name ? order : null;
  const direction = here ? (here.down ? 'descending' : 'ascending') : 'none';
  const next = !here ? { name: column.name, down: false } : here.down ? null : { name: column.name, down: true };
  return (
    <th scope="col" aria-sort={direction} class={classOf(column)}>
      <button type="button" class="table-sort" title={t('core.sort')} onClick={() => setOrder(next)}>
        {column.label}<span aria-hidden="true" class="table-arrow">{here ? (here.down ? '▼' : '▲') : '↕'}</span>
      </button>
    </th>
  );
}
