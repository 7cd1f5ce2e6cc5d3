// Parts of a page that come when they are looked at, so that the page itself stays small.
import type { ComponentChildren, ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { addSection, t, type LateSection } from './i18n';
import { Banner, Skeleton } from './ui';

/** A component that is fetched when it is first drawn, with the words it has of its own; a broken line is told, with a way to try again. */
export function later<P extends object = object>(load: () => Promise<ComponentType<P>>, section?: LateSection, meanwhile: ComponentChildren = <Skeleton rows={4} />): ComponentType<P> {
  let known: ComponentType<P> | null = null;
  return function Later(props: P) {
    const [Part, setPart] = useState<ComponentType<P> | null>(() => known);
    const [failed, setFailed] = useState(false);
    const fetchPart = () => {
      setFailed(false);
      Promise.all([load(), section && addSection(section)]).then(([part]) => { known = part; setPart(() => part); }, () => setFailed(true));
    };
    useEffect(() => { if (Part === null) fetchPart(); }, []);
    if (Part !== null) return <Part {...props} />;
    if (failed) return <Banner kind="error" action={{ label: t('core.retry'), run: fetchPart }}>{t('core.part_missing')}</Banner>;
    return <>{meanwhile}</>;
  };
}
