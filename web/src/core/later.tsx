// Parts of a page that come when they are looked at, so that the page itself stays small.
import type { ComponentChildren, ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { addSection, t, type LateSection } from './i18n';
import { Banner, Skeleton } from './ui';

/** A component that is fetched when it is first drawn, with the words it has of its own; a broken line is told, with a way to try again. */
export function later(load: () => Promise<ComponentType>, section?: LateSection, meanwhile: ComponentChildren = <Skeleton rows={4} />): ComponentType {
  let known: ComponentType | null = null;
  return function Later() {
    const [Part, setPart] = useState<ComponentType | null>(() => known);
    const [failed, setFailed] = useState(false);
    const fetchPart = () => {
      setFailed(false);
      Promise.all([load(), section && addSection(section)]).then(([part]) => { known = part; setPart(() => part); }, () => setFailed(true));
    };
    useEffect(() => { if (Part === null) fetchPart(); }, []);
    if (Part !== null) return <Part />;
    if (failed) return <Banner kind="error" action={{ label: t('core.retry'), run: fetchPart }}>{t('core.part_missing')}</Banner>;
    return <>{meanwhile}</>;
  };
}
